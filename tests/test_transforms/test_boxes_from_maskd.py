from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.data import MetaTensor

from monai_proto.data.boxes.checks import box_problems
from monai_proto.data.boxes.from_mask import boxes_from_mask
from monai_proto.transforms.boxes_from_maskd import BoxesFromMaskd


def rectangle(height, width, x1, y1, x2, y2):
    mask = torch.zeros(1, height, width)
    mask[0, y1:y2, x1:x2] = 1
    return mask


def loop_bounds(mask):
    """Edges of the object's bounding box, pixel by pixel."""
    places = [(x, y) for y in range(mask.shape[0]) for x in range(mask.shape[1]) if mask[y, x]]
    columns, rows = zip(*places, strict=True)
    return [min(columns), min(rows), max(columns) + 1, max(rows) + 1]


def test_margin_and_inset_are_shares_of_the_objects_sides():
    small, big = boxes_from_mask(rectangle(60, 80, 20, 10, 60, 30), big_margin=0.15, small_inset=0.2)
    assert small.dtype == big.dtype == torch.float32
    torch.testing.assert_close(small, torch.tensor([28.0, 14.0, 52.0, 26.0]))
    torch.testing.assert_close(big, torch.tensor([14.0, 7.0, 66.0, 33.0]))


def test_big_box_ends_at_the_image_where_the_object_touches_its_border():
    small, big = boxes_from_mask(rectangle(20, 30, 0, 0, 30, 10))
    torch.testing.assert_close(big, torch.tensor([0.0, 0.0, 30.0, 11.5]))
    torch.testing.assert_close(small, torch.tensor([6.0, 2.0, 24.0, 8.0]))


@settings(max_examples=60, deadline=None)
@given(
    pixels=st.lists(st.tuples(st.integers(0, 11), st.integers(0, 8)), min_size=1, max_size=12),
    margin=st.floats(0, 2),
    inset=st.floats(0, 0.49),
    jitter=st.floats(0, 1),
    seed=st.integers(0, 99),
    placement=st.sampled_from(["inset", "inscribed"]),
)
def test_small_box_in_bounding_box_in_big_box_in_image(pixels, margin, inset, jitter, seed, placement):
    mask = np.zeros((9, 12), dtype=np.uint8)
    for x, y in pixels:
        mask[y, x] = 1
    jitter *= (0.5 - inset) * 0.99
    small, big = boxes_from_mask(mask, margin, inset, jitter, "all", placement, np.random.RandomState(seed))
    bounds = loop_bounds(mask)
    assert box_problems(small, bounds, mask.shape) == []
    assert box_problems(bounds, big, mask.shape) == []


@pytest.mark.parametrize("jitter", [0.0, 0.1])
def test_inscribed_box_holds_the_object_only_and_is_the_largest_square(jitter):
    generator = np.random.default_rng(0)
    for _ in range(20):
        mask = generator.random((14, 11)) < 0.8
        options = {"components": "all", "small_placement": "inscribed"}
        small, _ = boxes_from_mask(mask, jitter=jitter, random_state=np.random.RandomState(0), **options)
        x1, y1, x2, y2 = small.tolist()
        assert mask[int(y1) : int(np.ceil(y2)), int(x1) : int(np.ceil(x2))].all()
        if not jitter:
            sides = [
                side
                for side in range(1, 12, 2)
                for y in range(15 - side)
                for x in range(12 - side)
                if mask[y : y + side, x : x + side].all()
            ]
            assert x2 - x1 == y2 - y1 == max(sides)


def test_several_objects_need_a_policy():
    mask = rectangle(30, 40, 2, 2, 12, 12) + rectangle(30, 40, 20, 20, 26, 24)
    with pytest.raises(ValueError, match=r"mask shows 2 objects of \[100, 24\] pixels, expected one"):
        boxes_from_mask(mask)
    _, largest = boxes_from_mask(mask, big_margin=0, components="largest")
    assert largest.tolist() == [2, 2, 12, 12]
    _, together = boxes_from_mask(mask, big_margin=0, components="all")
    assert together.tolist() == [2, 2, 26, 24]


def test_a_speck_is_no_second_object_and_diagonal_neighbours_are_one():
    _, big = boxes_from_mask(rectangle(30, 40, 2, 2, 12, 12) + rectangle(30, 40, 30, 20, 31, 22), big_margin=0)
    assert big.tolist() == [2, 2, 12, 12]
    _, big = boxes_from_mask(rectangle(30, 40, 2, 2, 5, 5) + rectangle(30, 40, 5, 5, 9, 9), big_margin=0)
    assert big.tolist() == [2, 2, 9, 9]


def test_transform_repeats_with_its_random_state_and_names_the_file():
    item = {"mask": rectangle(40, 40, 10, 10, 30, 30), "image": "a.png"}

    def draws(seed):
        transform = BoxesFromMaskd(jitter=0.1).set_random_state(seed)
        return [torch.cat([boxed["small_box"], boxed["big_box"]]) for boxed in (transform(item), transform(item))]

    first, second = draws(3)
    assert torch.equal(torch.stack(draws(3)), torch.stack([first, second]))
    assert not torch.equal(first, second)
    assert len(set((first[4:] - torch.tensor([7.0, 7.0, 33.0, 33.0])).tolist())) == 4

    with pytest.raises(ValueError, match=r"^image b\.png: mask is empty"):
        BoxesFromMaskd()({"mask": torch.zeros(1, 4, 4), "image": "b.png"})
    loaded = MetaTensor(torch.zeros(1, 4, 4), meta={"filename_or_obj": "masks/c.png"})
    with pytest.raises(ValueError, match=r"^mask masks/c\.png: mask is empty"):
        BoxesFromMaskd()({"mask": loaded, "image": "c.png"})


def test_items_without_a_mask_pass_when_allowed():
    assert BoxesFromMaskd(allow_missing_keys=True)({"image": 1}) == {"image": 1}
    with pytest.raises(KeyError):
        BoxesFromMaskd()({"image": 1})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"big_margin": -0.1}, "big_margin must be at least 0, got -0.1"),
        ({"small_inset": 0.5}, "small_inset must be at least 0 and below 0.5, got 0.5"),
        ({"jitter": 0.3}, "jitter must be at least 0 and below 0.5 - small_inset 0.2, got 0.3"),
        ({"components": "first"}, "components must be one of .* got 'first'"),
        ({"small_placement": "middle"}, "small_placement must be one of .* got 'middle'"),
        ({"keys": ("a", "b")}, "keys must name one mask"),
    ],
)
def test_refuses_options_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        BoxesFromMaskd(**options)


def test_refuses_masks_of_another_shape():
    with pytest.raises(ValueError, match=r"shape \(1, H, W\) or \(H, W\), got \(2, 4, 4\)"):
        boxes_from_mask(torch.ones(2, 4, 4))
    with pytest.raises(ValueError, match="random_state must be given"):
        boxes_from_mask(torch.ones(1, 4, 4), jitter=0.1)
