from __future__ import annotations

import json
from pathlib import Path

import pytest

from monai_proto.data.boxes.annotation import BoxAnnotation
from monai_proto.data.boxes.datalist import read_box_datalist, write_box_datalist


@pytest.fixture
def annotations(tmp_path: Path) -> list[BoxAnnotation]:
    made = []
    for index, split in enumerate(["training", "training", "test"]):
        image, mask = tmp_path / "pictures" / f"{index}.png", tmp_path / "pictures" / f"{index}_mask.png"
        image.parent.mkdir(exist_ok=True)
        image.touch()
        mask.touch()
        boxes = {"small_box": [2.003, 2, 4, 4], "big_box": [1, 1, 6, 6]}
        made.append(
            BoxAnnotation(f"c{index}", image, f"c{index}", **boxes, mask=mask, subject=f"s{index}", split=split)
        )
    return made


def test_what_is_written_is_read_with_absolute_paths(tmp_path: Path, annotations):
    folder = tmp_path / "lists"
    folder.mkdir()
    written = json.loads(write_box_datalist(folder, {"name": "Toy"}, annotations).read_text())
    assert written["task"] == "box_segmentation"
    assert (written["numTraining"], written["numTest"]) == (2, 1)
    assert written["training"][0]["image"] == "../pictures/0.png"
    content = read_box_datalist(folder)
    assert content["name"] == "Toy"
    assert content["validation"] == []
    assert content["training"][1] == {
        "image": str(tmp_path / "pictures" / "1.png"),
        "mask": str(tmp_path / "pictures" / "1_mask.png"),
        "small_box": [2.0, 2.0, 4.0, 4.0],
        "big_box": [1.0, 1.0, 6.0, 6.0],
        "image_id": "c1",
        "patient_id": "s1",
    }


def test_masks_of_training_can_be_left_out(tmp_path: Path, annotations):
    write_box_datalist(tmp_path, {}, annotations, training_masks=False)
    content = read_box_datalist(tmp_path / "dataset.json")
    assert ["mask" in item for item in content["training"] + content["test"]] == [False, False, True]


def test_a_subject_stays_on_one_side(tmp_path: Path, annotations):
    annotations[2].subject = "s0"
    with pytest.raises(ValueError, match="patient s0 is on two sides of the split: c0 in training and c2 in test"):
        write_box_datalist(tmp_path, {}, annotations)
    assert not (tmp_path / "dataset.json").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"task": "segmentation"}, "task: must be 'box_segmentation', got 'segmentation'"),
        ({"training": [{"small_box": [1, 1, 2, 2]}]}, r"training\[0\]: has no text image"),
        ({"training": [{"image": "pictures/0.png", "small_box": [1, 1, 2, 2]}]}, "big box must be four finite numbers"),
        (
            {"training": [{"image": "pictures/0.png", "small_box": [1, 1, 9, 2], "big_box": [1, 1, 3, 3]}]},
            r"training, pictures/0\.png: small box .* is not inside",
        ),
        (
            {"training": [{"image": "no.png", "small_box": [1, 1, 2, 2], "big_box": [1, 1, 3, 3]}]},
            r"training: image .*no\.png does not exist",
        ),
    ],
)
def test_refuses_lists_that_cannot_be_used(tmp_path: Path, annotations, change, message):
    file = write_box_datalist(tmp_path, {}, annotations)
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(ValueError, match=message):
        read_box_datalist(tmp_path)


def test_refuses_what_is_no_list(tmp_path: Path):
    with pytest.raises(ValueError, match=r"prepare boxes writes one"):
        read_box_datalist(tmp_path)
    (tmp_path / "dataset.json").write_text("{")
    with pytest.raises(ValueError, match="is not valid JSON"):
        read_box_datalist(tmp_path)
