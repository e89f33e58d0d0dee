from __future__ import annotations

import math
from collections import Counter

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from monai_proto.transforms.ring_points import (
    SampleRingPointsd,
    draw_ring_points,
    require_rings,
    sample_ring_points,
)


def ring(small, big):
    """Every pixel of the ring, one by one: all of it in the big box, none of it and no edge in the small one."""
    sx1, sy1, sx2, sy2 = small
    bx1, by1, bx2, by2 = big
    return {
        (x, y)
        for x in range(math.floor(bx1) - 1, math.ceil(bx2) + 1)
        for y in range(math.floor(by1) - 1, math.ceil(by2) + 1)
        if bx1 <= x and x + 1 <= bx2 and by1 <= y and y + 1 <= by2
        if not (x + 1 > sx1 and x <= sx2 and y + 1 > sy1 and y <= sy2)
    }


@st.composite
def boxes(draw):
    """Corners in quarters of a pixel, so that whole and broken ones both come."""
    corners = []
    for _ in range(2):
        b1, s1, s2, b2 = sorted(draw(st.lists(st.integers(0, 60), min_size=4, max_size=4)))
        assume(s1 < s2)
        corners.append((b1 / 4, s1 / 4, s2 / 4, b2 / 4))
    (bx1, sx1, sx2, bx2), (by1, sy1, sy2, by2) = corners
    return [sx1, sy1, sx2, sy2], [bx1, by1, bx2, by2]


@settings(max_examples=80, deadline=None)
@given(pairs=st.lists(boxes(), min_size=1, max_size=4), num_points=st.integers(1, 12), seed=st.integers(0, 999))
def test_points_lie_in_the_ring_and_are_distinct_where_it_has_enough(pairs, num_points, seed):
    pairs = [pair for pair in pairs if ring(*pair)]
    assume(pairs)
    small, big = (torch.tensor([pair[i] for pair in pairs]) for i in range(2))
    points = sample_ring_points(small, big, num_points, torch.Generator().manual_seed(seed))
    assert points.shape == (len(pairs), num_points, 2)
    assert points.dtype == torch.int64
    for pair, row in zip(pairs, points.tolist(), strict=True):
        pixels, drawn = ring(*pair), {tuple(point) for point in row}
        assert drawn <= pixels
        if len(pixels) >= num_points:
            assert len(drawn) == num_points


@settings(max_examples=40, deadline=None)
@given(pair=boxes())
def test_all_pixels_of_a_ring_are_reached(pair):
    pixels = ring(*pair)
    assume(pixels)
    points = sample_ring_points(*map(torch.tensor, pair), len(pixels), torch.Generator().manual_seed(0))
    assert {tuple(point) for point in points.tolist()} == pixels


def test_every_set_of_pixels_is_equally_likely():
    small, big = torch.tensor([[1.0, 1.0, 2.0, 2.0]]).expand(6000, 4), torch.tensor([[0.0, 0.0, 4.0, 3.0]])
    points = sample_ring_points(small, big.expand(6000, 4), 2, torch.Generator().manual_seed(1))
    pixels = ring(small[0].tolist(), big[0].tolist())
    sets = Counter(frozenset(map(tuple, row)) for row in points.tolist())
    number = math.comb(len(pixels), 2)
    assert len(sets) == number
    chi_square = sum((count - 6000 / number) ** 2 / (6000 / number) for count in sets.values())
    assert abs(chi_square - (number - 1)) < 4 * math.sqrt(2 * (number - 1))


def test_too_small_a_ring_gives_points_more_than_once():
    small, big = torch.tensor([1.0, 0.0, 4.0, 1.0]), torch.tensor([0.0, 0.0, 4.0, 1.0])
    assert sample_ring_points(small, big, 5).tolist() == [[0, 0]] * 5


def test_seed_decides_and_small_integers_will_do():
    small, big = torch.tensor([10, 10, 20, 20]), torch.tensor([0, 0, 40, 30])
    first = sample_ring_points(small, big, 10, torch.Generator().manual_seed(4))
    assert torch.equal(first, sample_ring_points(small, big, 10, torch.Generator().manual_seed(4)))
    assert not torch.equal(first, sample_ring_points(small, big, 10, torch.Generator().manual_seed(5)))
    assert {tuple(point) for point in first.tolist()} <= ring(small.tolist(), big.tolist())


@pytest.mark.parametrize(
    ("small", "big", "message"),
    [
        ([5, 5, 9, 9], [5, 5, 9, 9], r"small box \[5, 5, 9, 9\] and big box \[5, 5, 9, 9\] is empty"),
        ([2.1, 2.1, 3, 3], [1.9, 1.9, 3.2, 3.2], "is empty: no pixel lies inside the big box and outside"),
        ([5, 5, 19, 9], [4, 4, 12, 12], "small box .* is not inside the big box"),
        ([9, 5, 5, 9], [4, 4, 12, 12], r"small box \[9, 5, 5, 9\] has swapped corners: x1 9 > x2 5"),
        ([5, 5, 9, 9], [4, 12, 12, 4], r"big box \[4, 12, 12, 4\] has swapped corners: y1 12 > y2 4"),
        ([5, 5, 5, 9], [4, 4, 12, 12], "has zero area: x1 = x2 = 5"),
        ([5, 5, 9], [4, 4, 12, 12], r"must both have shape \(4,\) or \(B, 4\), got \(3,\) and \(4,\)"),
    ],
)
def test_refuses_boxes_without_a_ring(small, big, message):
    for refuse in (sample_ring_points, require_rings):
        with pytest.raises(ValueError, match=message):
            refuse(torch.tensor(small), torch.tensor(big))


def test_checked_boxes_give_the_same_points_without_a_look_at_a_value():
    small, big = torch.tensor([[5.0, 5.0, 9.0, 9.0]] * 2), torch.tensor([[4.0, 4.0, 12.0, 12.0], [0.0, 0.0, 30.0, 9.5]])
    require_rings(small, big)
    points = draw_ring_points(small, big, 6, torch.Generator().manual_seed(3))
    assert torch.equal(points, sample_ring_points(small, big, 6, torch.Generator().manual_seed(3)))
    # on the meta device a tensor has no values: a host that waits for one would fail
    assert draw_ring_points(small.to("meta"), big.to("meta"), 6).shape == (2, 6, 2)
    with pytest.raises(NotImplementedError):
        require_rings(small.to("meta"), big.to("meta"))


def test_names_the_row_of_a_batch():
    small, big = torch.tensor([[5, 5, 9, 9]] * 2), torch.tensor([[4, 4, 12, 12], [5, 5, 9, 9]])
    with pytest.raises(ValueError, match="ring of row 1 between"):
        sample_ring_points(small, big)
    with pytest.raises(ValueError, match=r"row 1: small box .* is not inside"):
        sample_ring_points(small, big - torch.tensor([[0], [1]]))
    with pytest.raises(ValueError, match="num_points must be at least 1, got 0"):
        sample_ring_points(small, big, 0)


def test_transform_repeats_with_its_random_state_and_names_the_item():
    item = {"image": "a.png", "small_box": [10.0, 10.0, 20.0, 20.0], "big_box": torch.tensor([0.0, 0.0, 40.0, 30.0])}
    transform = SampleRingPointsd(num_points=7).set_random_state(1)
    first, second = transform(item)["points"], transform(item)["points"]
    assert first.shape == (7, 2)
    assert not torch.equal(first, second)
    assert torch.equal(first, SampleRingPointsd(num_points=7).set_random_state(1)(item)["points"])
    assert {tuple(point) for point in first.tolist()} <= ring(item["small_box"], item["big_box"].tolist())
    with pytest.raises(ValueError, match=r"^image a\.png: ring between"):
        transform({**item, "small_box": item["big_box"]})
    with pytest.raises(ValueError, match="num_points must be at least 1"):
        SampleRingPointsd(num_points=0)
