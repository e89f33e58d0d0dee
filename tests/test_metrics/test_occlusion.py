from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from monai_proto.metrics import hide_patches, occlusion_drops, shifted_region, strongest_patches


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 4), st.integers(1, 5), st.integers(2, 5), st.integers(0, 1000))
def test_a_shifted_region_has_the_shape_elsewhere(batch, height, width, seed):
    generator = torch.Generator().manual_seed(seed)
    region = strongest_patches(torch.rand(batch, height * width, generator=generator), 0.3)
    moved = shifted_region(region, (height, width), generator)
    assert torch.equal(moved.sum(dim=1), region.sum(dim=1))
    for one, other in zip(region.reshape(batch, height, width), moved.reshape(batch, height, width), strict=True):
        shifts = [one.roll((y, x), (0, 1)) for y in range(height) for x in range(width) if (y, x) != (0, 0)]
        assert any(torch.equal(shift, other) for shift in shifts)


def test_strongest_patches():
    region = strongest_patches(torch.tensor([[0.1, 0.9, 0.5, 0.7], [4.0, 3.0, 2.0, 1.0]]), 0.5)
    assert region.tolist() == [[False, True, False, True], [True, True, False, False]]
    assert strongest_patches(torch.rand(1, 3), 0.01).sum() == 1
    with pytest.raises(ValueError, match="share must be between 0 and 1"):
        strongest_patches(torch.rand(1, 3), 1.0)


def test_hidden_patches_have_the_mean_of_the_image():
    images = torch.arange(32.0).reshape(1, 2, 4, 4)
    hidden = hide_patches(images, torch.tensor([[True, False, False, False]]), (2, 2))
    assert torch.equal(hidden[0, 0, :2, :2], torch.full((2, 2), 7.5))
    assert torch.equal(hidden[0, 1, :2, :2], torch.full((2, 2), 23.5))
    assert torch.equal(hidden[..., 2:, :], images[..., 2:, :])


def test_the_logit_falls_where_the_answer_rests():
    """A classifier that looks at one corner only: hiding it matters, hiding another does not."""
    images = torch.zeros(3, 1, 4, 4)
    images[:, :, :2, :2] = 1

    def logits_of(batch):
        corner = batch[:, 0, :2, :2].mean(dim=(1, 2))
        return torch.stack([corner, -corner], dim=1)

    region = torch.tensor([[True, False, False, False]] * 3)
    here, there = occlusion_drops(logits_of, images, region, (2, 2), torch.Generator().manual_seed(0))
    torch.testing.assert_close(here, torch.full((3,), 0.75))
    torch.testing.assert_close(there, torch.zeros(3))
