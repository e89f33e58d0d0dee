from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from monai_proto.data import list_prompted_images, load_boxed_images


@pytest.fixture
def folder(tmp_path):
    """Ten images of five patients with masks; no boxes and no validation part."""
    items = []
    for i in range(10):
        mask = np.zeros((40, 60), dtype=np.uint8)
        mask[10:30, 10 + i : 40 + i] = 255
        Image.fromarray(mask).save(tmp_path / f"m{i}.png")
        Image.fromarray(mask // 2 + 50).convert("RGB").save(tmp_path / f"i{i}.png")
        items.append(
            {"image": f"i{i}.png", "mask": f"m{i}.png", "label": 0, "image_id": f"i{i}", "lesion_id": f"p{i // 2}"}
        )
    write(tmp_path, training=items)
    return tmp_path


def write(folder, **parts):
    content = {"task": "classification", "labels": {"0": "lesion"}, **parts}
    (folder / "dataset.json").write_text(json.dumps(content))


def test_boxes_are_made_from_masks_and_validation_is_put_aside_by_patient(folder):
    parts = load_boxed_images(folder, validation_fraction=0.2, jitter=0.0)
    assert len(parts["training"]), len(parts["validation"]) == (8, 2)
    assert {item["patient_id"] for item in parts["training"]}.isdisjoint(
        {item["patient_id"] for item in parts["validation"]}
    )
    item = next(item for item in parts["training"] + parts["validation"] if item["image_id"] == "i3")
    assert item["small_box"] == pytest.approx([19, 14, 37, 26])
    assert item["big_box"] == pytest.approx([8.5, 7, 47.5, 33])


def test_boxes_depend_on_the_seed_and_the_image_alone(folder):
    first, again, other = (load_boxed_images(folder, seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert first["training"][0]["big_box"] != other["training"][0]["big_box"]


def test_fewer_training_images(folder):
    few, more = (load_boxed_images(folder, number)["training"] for number in (2, 4))
    assert [item["image"] for item in more[:2]] == [item["image"] for item in few]
    with pytest.raises(ValueError, match=r"num_training must be in 1 \.\. 8"):
        load_boxed_images(folder, 9)


def test_an_image_without_boxes_and_mask_is_named(folder):
    write(folder, training=[{"image": "i0.png", "label": 0}])
    with pytest.raises(ValueError, match=r"i0\.png has neither boxes nor a mask"):
        load_boxed_images(folder)


def test_boxes_of_a_list_are_taken_as_they_are(folder):
    items = [
        {"image": f"i{i}.png", "small_box": [20, 15, 30, 25], "big_box": [5, 5, 55, 35], "patient_id": str(i)}
        for i in range(4)
    ]
    (folder / "dataset.json").write_text(json.dumps({"task": "box_segmentation", "training": items}))
    with pytest.raises(ValueError, match=r"items of validation must name their mask.*the part is empty"):
        load_boxed_images(folder)
    items[0]["mask"] = items[1]["mask"] = "m0.png"
    (folder / "dataset.json").write_text(json.dumps({"task": "box_segmentation", "training": items}))
    parts = load_boxed_images(folder)
    assert len(parts["validation"]) == 1
    assert parts["training"][0]["big_box"] == [5, 5, 55, 35]
    assert not any("mask" in item for item in parts["training"])  # one has, two have not


def test_missing_list():
    with pytest.raises(ValueError, match="/nowhere"):
        load_boxed_images("/nowhere")


def test_prompts_of_a_folder_and_of_one_image(folder):
    (folder / "dataset.json").unlink()
    [item] = list_prompted_images(folder / "i3.png", points=[[1, 2], [3, 4]], point_labels=[1, 0])
    assert (item["image_id"], item["prompt_points"], item["prompt_labels"]) == ("i3", [[1, 2], [3, 4]], [1, 0])
    (folder / "prompts.json").write_text(json.dumps({"i3.png": {"box": [1, 2, 30, 40]}}))
    for image in folder.glob("m*.png"):
        image.unlink()
    items = {item["image_id"]: item for item in list_prompted_images(folder, prompts=folder / "prompts.json")}
    assert len(items) == 10
    assert items["i3"]["prompt_boxes"] == [1, 2, 30, 40]
    assert "prompt_boxes" not in items["i4"]


def test_prompts_of_a_data_list_are_its_big_boxes(folder):
    items = list_prompted_images(folder)
    assert all(len(item["prompt_boxes"]) == 4 for item in items)
    assert "prompt_boxes" not in list_prompted_images(folder, points=[[5, 5]])[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"box": [5, 5, 1, 9]}, "box must be"),
        ({"points": [[1, 2, 3]]}, "points must be"),
        ({"points": [[1, 2]], "point_labels": [1, 1]}, "point_labels must be"),
        ({"point_labels": [1]}, "without points"),
    ],
)
def test_bad_prompts(folder, arguments, message):
    with pytest.raises(ValueError, match=message):
        list_prompted_images(folder / "i1.png", **arguments)


def test_prompts_for_images_that_are_not_there(folder):
    (folder / "prompts.json").write_text(json.dumps({"zz.png": {"box": [1, 2, 30, 40]}}))
    with pytest.raises(ValueError, match=r"zz\.png"):
        list_prompted_images(folder, prompts=folder / "prompts.json")
