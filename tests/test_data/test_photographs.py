"""Lists of photographs, sampling weights and copies of source images."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from monai_proto.data import SourceImages, list_photographs, sampling_weights, write_classification_datalist


def picture(path, value=100, size=(40, 30)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((size[1], size[0], 3), value, dtype=np.uint8)).save(path)
    return path


def test_an_image_a_folder_and_a_data_list(tmp_path):
    first, second = picture(tmp_path / "b.png"), picture(tmp_path / "sub" / "a.jpg")
    assert list_photographs(first) == [{"image": str(first), "image_id": "b"}]
    assert list_photographs(tmp_path) == [
        {"image": str(first), "image_id": "b"},
        {"image": str(second), "image_id": "sub/a"},
    ]
    item = {"label": 0, "lesion_id": "x"}
    parts = {
        "training": [{**item, "image": "b.png", "image_id": "first"}],
        "validation": [{**item, "image": "sub/a.jpg", "image_id": "second", "lesion_id": "y"}],
    }
    write_classification_datalist(tmp_path, {"labels": {"0": "nv"}}, **parts)
    assert list_photographs(tmp_path) == [{"image": str(second), "image_id": "second"}]


def test_nothing_to_classify(tmp_path):
    with pytest.raises(ValueError, match="is neither an image nor a folder"):
        list_photographs(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="holds no picture"):
        list_photographs(tmp_path)


def test_sampling_weights_even_out_the_classes():
    items = [{"label": 0}] * 9 + [{"label": 1}]
    weights = np.array(sampling_weights(items, 2, power=1.0))
    assert weights[:9].sum() == pytest.approx(weights[9])
    assert sampling_weights(items, 2, power=0.0) == [1.0] * 10
    assert sampling_weights(items, 2)[0] == pytest.approx(1 / 3)
    with pytest.raises(ValueError, match="power must be in 0"):
        sampling_weights(items, 2, power=2)


def test_source_images_are_copied_small_and_old_ones_go(tmp_path):
    files = {"a/1": picture(tmp_path / "1.png", 10, (640, 480)), "b": picture(tmp_path / "2.png", 200)}
    sources = SourceImages(tmp_path / "sources", max_side=160)
    sources.save(files, files.__getitem__)
    assert sources.load("a/1").shape == (120, 160, 3)
    assert (sources.load("b") == 200).all()
    sources.save(["b"], files.__getitem__)
    assert [file.name for file in (tmp_path / "sources").iterdir()] == [sources.path("b").name]
    with pytest.raises(FileNotFoundError, match="no copy of the training image a/1"):
        sources.load("a/1")
