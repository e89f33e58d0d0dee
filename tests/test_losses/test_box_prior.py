from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from monai_proto.losses.box_prior import apply_box_prior, boxes_to_masks


@settings(max_examples=60, deadline=None)
@given(
    corners=st.lists(st.tuples(*[st.floats(-3, 14, width=16)] * 4), min_size=1, max_size=3),
    size=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    image_size=st.tuples(st.integers(1, 12), st.integers(1, 12)),
)
def test_masks_hold_the_cells_whose_middle_is_in_the_box(corners, size, image_size):
    masks = boxes_to_masks(torch.tensor(corners), size, image_size)
    assert masks.shape == (len(corners), 1, *size)
    assert masks.dtype == torch.bool
    for b, (x1, y1, x2, y2) in enumerate(corners):
        for row in range(size[0]):
            for column in range(size[1]):
                x, y = (column + 0.5) * image_size[1] / size[1], (row + 0.5) * image_size[0] / size[0]
                near_an_edge = min(abs(x - x1), abs(x - x2), abs(y - y1), abs(y - y2)) < 1e-4
                assert near_an_edge or masks[b, 0, row, column] == (x1 <= x < x2 and y1 <= y < y2)


def test_whole_pixels_need_no_image_size():
    mask = boxes_to_masks(torch.tensor([[1, 2, 4, 3]]), (5, 6))[0, 0]
    assert mask.nonzero().tolist() == [[2, 1], [2, 2], [2, 3]]


def test_prior_overwrites_outside_and_inside_and_keeps_the_ring():
    logits = torch.randn(2, 1, 12, 16, requires_grad=True)
    small, big = torch.tensor([[5.0, 4, 9, 8], [2, 2, 3, 3]]), torch.tensor([[3.0, 2, 12, 10], [0, 0, 16, 12]])
    cleaned = apply_box_prior(logits, small, big)
    inside, outside = boxes_to_masks(small, (12, 16)), ~boxes_to_masks(big, (12, 16))
    ring = ~(inside | outside)
    assert (cleaned[inside] == 20).all()
    assert (cleaned[outside] == -20).all()
    assert torch.equal(cleaned[ring], logits[ring])
    cleaned.sum().backward()
    assert torch.equal(logits.grad, ring.float())
    probabilities = apply_box_prior(logits.sigmoid(), small, big, foreground=1.0, background=0.0)
    assert torch.equal(probabilities[inside], torch.ones(17))
    assert (probabilities[outside] == 0).all()


def test_prior_on_a_coarser_map_takes_boxes_of_the_image():
    cleaned = apply_box_prior(
        torch.zeros(1, 1, 4, 4), torch.tensor([[8, 8, 16, 16]]), torch.tensor([[0, 0, 24, 24]]), image_size=(32, 32)
    )
    assert cleaned[0, 0].tolist() == [[0, 0, 0, -20], [0, 20, 0, -20], [0, 0, 0, -20], [-20] * 4]


def test_refuses_other_shapes():
    boxes = torch.zeros(2, 4)
    with pytest.raises(ValueError, match=r"boxes must have shape \(B, 4\), got \(4,\)"):
        boxes_to_masks(boxes[0], (3, 3))
    with pytest.raises(ValueError, match=r"got \(3, 1, 4, 4\) with 2 small and 2 big"):
        apply_box_prior(torch.zeros(3, 1, 4, 4), boxes, boxes)
