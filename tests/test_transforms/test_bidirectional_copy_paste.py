from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from monai_proto.transforms import RandBidirectionalCopyPaste


def box_of(inside):
    """Slices of the smallest box that holds all true voxels."""
    return tuple(slice(int(i.min()), int(i.max()) + 1) for i in inside.nonzero(as_tuple=True))


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 1000),
    sides=st.lists(st.integers(3, 12), min_size=2, max_size=3),
    batch=st.integers(1, 5),
    fraction=st.sampled_from([1 / 3, 0.5, 2 / 3]),
)
def test_each_pair_has_one_full_box_and_directions_alternate(seed, sides, batch, fraction):
    transform = RandBidirectionalCopyPaste(fraction)
    transform.set_random_state(seed)
    mask = transform.draw(batch, sides)
    assert mask.shape == (batch, 1, *sides)
    assert mask.dtype == torch.bool
    expected = [max(1, int(side * fraction)) for side in sides]
    directions = []
    for b in range(batch):
        fits = []
        for direction, inside in enumerate((~mask[b, 0], mask[b, 0])):
            box = box_of(inside)
            if [s.stop - s.start for s in box] == expected and inside[box].all():
                fits.append(direction)
        assert fits
        directions.append(fits)
    # 0: the labelled image around an unlabelled box, 1: the other way round
    assert any(all((b + first) % 2 in fits for b, fits in enumerate(directions)) for first in (0, 1))


def test_both_directions_occur_also_with_a_single_pair():
    transform = RandBidirectionalCopyPaste().set_random_state(0)
    corners = {bool(transform.draw(1, (9, 9)).float().mean() > 0.5) for _ in range(30)}
    assert corners == {True, False}


def test_boxes_reach_every_place():
    transform = RandBidirectionalCopyPaste(0.5).set_random_state(0)
    starts = set()
    for _ in range(100):
        mask = transform.draw(1, (4, 4))[0, 0]
        box = mask if mask.sum() == 4 else ~mask
        starts.add(tuple(box.nonzero()[0].tolist()))
    assert starts == {(x, y) for x in range(3) for y in range(3)}


def test_mixing_takes_each_voxel_from_the_image_that_the_mask_says():
    transform = RandBidirectionalCopyPaste().set_random_state(1)
    images, labels = torch.randn(4, 2, 6, 6, 6), torch.randint(0, 3, (4, 1, 6, 6, 6))
    other_images, pseudo = torch.randn(4, 2, 6, 6, 6), torch.randint(0, 3, (4, 1, 6, 6, 6))
    (mixed, mixed_labels), mask = transform((images, labels), (other_images, pseudo))
    for b in range(4):
        for place in torch.cartesian_prod(*[torch.arange(6)] * 3).tolist():
            index = (b, slice(None), *place)
            source = (images, labels) if mask[(b, 0, *place)] else (other_images, pseudo)
            assert torch.equal(mixed[index], source[0][index])
            assert torch.equal(mixed_labels[index], source[1][index])
    assert mixed_labels.dtype == torch.int64
    assert mask.any()
    assert not mask.all()


def test_seed_decides():
    def draws(seed):
        transform = RandBidirectionalCopyPaste().set_random_state(seed)
        return torch.stack([transform.draw(2, (12, 12)) for _ in range(5)])

    assert torch.equal(draws(3), draws(3))
    assert not torch.equal(draws(3), draws(4))
    assert not torch.equal(draws(3)[0], draws(3)[1])


def test_refuses_shapes_that_do_not_match():
    transform = RandBidirectionalCopyPaste()
    with pytest.raises(ValueError, match=r"got shapes \(2, 1, 4, 4\) and \(3, 1, 4, 4\)"):
        transform([torch.zeros(2, 1, 4, 4)], [torch.zeros(3, 1, 4, 4)])
    with pytest.raises(ValueError, match="shorter"):
        transform([torch.zeros(2, 1, 4, 4)] * 2, [torch.zeros(2, 1, 4, 4)])


@pytest.mark.parametrize("fraction", [0, 1, -0.5, 2])
def test_refuses_a_box_that_is_nothing_or_all(fraction):
    with pytest.raises(ValueError, match="box_fraction must be between 0 and 1"):
        RandBidirectionalCopyPaste(fraction)
