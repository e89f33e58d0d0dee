from __future__ import annotations

import pytest
import torch
from monai.data import MetaTensor, list_data_collate

from monai_proto.data.boxes.checks import box_problems, check_boxes
from monai_proto.transforms.check_boxesd import CheckBoxesd

SMALL, BIG, SIZE = [12, 11, 20, 18], [10, 10, 30, 20], (20, 30)


@pytest.mark.parametrize(
    ("small", "big", "messages"),
    [
        (SMALL, BIG, []),
        ([0, 0, 30, 20], [0, 0, 30, 20], []),
        ([12.5, 11, 20, 18.0005], [12.5001, 11, 20, 18], []),
        ([20, 11, 12, 18], BIG, ["small box [20, 11, 12, 18] has swapped corners: x1 20 > x2 12"]),
        (SMALL, [10, 20, 30, 10], ["big box [10, 20, 30, 10] has swapped corners: y1 20 > y2 10"]),
        ([12, 11, 12, 18], BIG, ["small box [12, 11, 12, 18] has zero area: x1 = x2 = 12"]),
        (
            SMALL,
            [10, 10, 31, 20],
            ["big box [10, 10, 31, 20] is not inside of the image, which is 30 wide and 20 high"],
        ),
        (
            [12, 11, 20, 18],
            [10, -1, 30, 20],
            ["big box [10, -1, 30, 20] is not inside of the image, which is 30 wide and 20 high"],
        ),
        ([9, 11, 20, 18], BIG, ["small box [9, 11, 20, 18] is not inside the big box [10, 10, 30, 20]"]),
        (SMALL, [float("nan"), 10, 30, 20], ["big box must be four finite numbers x1, y1, x2, y2, got [nan, "]),
        (None, BIG, ["small box must be four finite numbers"]),
        (
            [20, 18, 12, 18],
            [10, 10, 31, 20],
            ["swapped corners", "small box [20, 18, 12, 18] has zero area: y1 = y2 = 18", "not inside of the image"],
        ),
    ],
)
def test_every_fault_has_its_message(small, big, messages):
    found = box_problems(small, big, SIZE)
    assert len(found) == len(messages)
    for text, message in zip(found, messages, strict=True):
        assert message in text


def test_without_a_size_only_the_boxes_are_compared():
    assert box_problems([0, 0, 900, 900], [-5, 0, 999, 999]) == []


def test_batches_name_the_row():
    small, big = torch.tensor([SMALL, SMALL]), torch.tensor([BIG, [0, 0, 5, 5]])
    check_boxes(small[:1], big[:1], SIZE)
    with pytest.raises(ValueError, match=r"^a\.csv: row 1: small box .* is not inside the big box \[0, 0, 5, 5\]\.$"):
        check_boxes(small, big, SIZE, name="a.csv")
    with pytest.raises(ValueError, match=r"got \(2, 4\) and \(1, 4\)"):
        check_boxes(small, big[:1])


def test_transform_gives_tensors_that_collate_by_item():
    item = {"image": torch.zeros(3, *SIZE), "small_box": SMALL, "big_box": BIG}
    batch = list_data_collate([CheckBoxesd()(item), CheckBoxesd()(item)])
    assert batch["small_box"].shape == (2, 4)
    assert batch["big_box"].dtype == torch.float32
    assert batch["big_box"][1].tolist() == BIG


def test_transform_names_the_file():
    image = MetaTensor(torch.zeros(3, *SIZE), meta={"filename_or_obj": "x/lesion_7.png"})
    item = {"image": image, "small_box": SMALL, "big_box": [10, 10, 99, 20]}
    with pytest.raises(ValueError, match=r"^image x/lesion_7\.png: big box .* not inside of the image"):
        CheckBoxesd()(item)
    with pytest.raises(ValueError, match=r"^image x/lesion_7\.png has no big_box\.$"):
        CheckBoxesd()({"image": image, "small_box": SMALL})
    with pytest.raises(ValueError, match=r"^item 12: small box .* is not inside the big box"):
        CheckBoxesd(allow_missing_keys=True)({"image_id": "12", "small_box": BIG, "big_box": SMALL})
