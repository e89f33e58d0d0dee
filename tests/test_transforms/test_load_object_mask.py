from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.transforms import Compose, PadListDataCollate
from PIL import Image

from monai_proto.transforms import LoadColorImaged, LoadObjectMaskd

LOAD = Compose([LoadColorImaged("image"), LoadObjectMaskd("mask")])


@pytest.fixture
def items(tmp_path):
    """Two photographs of different sizes with masks."""
    listed = []
    for index, (height, width) in enumerate([(20, 30), (16, 24)]):
        generator = np.random.default_rng(index)
        Image.fromarray(generator.integers(0, 255, (height, width, 3), dtype=np.uint8)).save(tmp_path / f"i{index}.png")
        mask = np.zeros((height, width), dtype=np.uint8)
        mask[4:10, 5:15] = 255
        Image.fromarray(mask).save(tmp_path / f"m{index}.png")
        listed.append({"image": str(tmp_path / f"i{index}.png"), "mask": str(tmp_path / f"m{index}.png")})
    return listed


def test_a_mask_lies_on_its_image(items):
    mask = LOAD(items[0])["mask"]
    assert mask.shape == (1, 20, 30)
    assert mask.dtype == torch.float32
    assert mask.sum() == mask[0, 4:10, 5:15].sum() == 60


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_images_of_different_sizes_are_collated(items, order):
    batch = PadListDataCollate(method="end")([LOAD(items[place]) for place in order])
    assert batch["image"].shape == (2, 3, 20, 30)
    assert batch["mask"].sum(dim=(1, 2, 3)).tolist() == [60, 60]


def test_a_mask_of_another_size_or_that_cannot_be_read_is_named(items):
    with pytest.raises(
        ValueError, match=r"m1\.png must have the size \(H, W\) \(20, 30\) of its image, got \(16, 24\)"
    ):
        LoadObjectMaskd("mask")({"image": LOAD(items[0])["image"], "mask": items[1]["mask"]})
    with open(items[0]["mask"], "r+b") as stream:
        stream.truncate(30)
    with pytest.raises(ValueError, match=r"mask file .*m0\.png cannot be used"):
        LoadObjectMaskd("mask")({"image": torch.zeros(3, 20, 30), "mask": items[0]["mask"]})
