from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monai_proto.data.voxel_grid import lay_on_grid
from monai_proto.dicom.series import GeometryError, stack_slices

AXIAL, OBLIQUE = (1, 0, 0, 0, 1, 0), (0.8, 0.6, 0.0, -0.36, 0.48, 0.8)


def _stack(positions, orientation=AXIAL):
    count = len(positions)
    return stack_slices(positions, [orientation] * count, [(2.0, 1.5)] * count)


@settings(max_examples=30, deadline=None)
@given(order=st.permutations(range(6)), step=st.floats(0.3, 9))
def test_order_follows_the_places_whatever_the_order_of_files(order, step):
    normal = np.cross(OBLIQUE[:3], OBLIQUE[3:])
    positions = np.array([5.0, -3, 7]) + np.outer(order, normal) * step
    stack = _stack(positions, OBLIQUE)
    assert [order[index] for index in stack.order] == list(range(6))
    for slice_index, source in enumerate(stack.order):
        np.testing.assert_allclose(stack.affine @ [0, 0, slice_index, 1], [*positions[source], 1], atol=1e-6)
    # first index runs along a row, by the distance between columns
    np.testing.assert_allclose(stack.affine[:3, 0], np.array(OBLIQUE[:3]) * 1.5, atol=1e-9)
    np.testing.assert_allclose(stack.affine[:3, 1], np.array(OBLIQUE[3:]) * 2.0, atol=1e-9)


@pytest.mark.parametrize(
    ("depths", "message"),
    [
        ([0, 3, 9, 12, 15], "missing slices: 1, between 3 and 9 mm"),
        ([0, 3, 6, 15, 18], "missing slices: 2"),
        ([0, 3, 6, 7.2, 10], "variable slice spacing: 1.2 to 3 mm"),
        ([0, 3, 3, 6], "1 slices lie where another one does"),
        ([0], "a single slice"),
    ],
)
def test_irregular_places_are_named(depths, message):
    with pytest.raises(GeometryError, match=message):
        _stack([(0, 0, depth) for depth in depths])


def test_gantry_tilt_and_mixed_orientations_are_named():
    with pytest.raises(GeometryError, match=r"gantry tilt: slices are shifted against each other by 15\.0 degrees"):
        _stack([(0, index * 3 * np.tan(np.radians(15)), index * 3) for index in range(5)])
    with pytest.raises(GeometryError, match="different orientations"):
        stack_slices([(0, 0, 0), (0, 0, 3)], [AXIAL, (0, 1, 0, 0, 0, -1)], [(1, 1)] * 2)
    with pytest.raises(GeometryError, match="two perpendicular unit vectors"):
        _stack([(0, 0, 0), (0, 0, 3)], (1, 0, 0, 0.5, 0.5, 0))


def test_positions_rounded_by_the_header_are_still_regular():
    stack = _stack([(0, 0, round(index * 0.6667, 2)) for index in range(40)])
    assert abs(stack.affine[2, 2]) == pytest.approx(0.6667, abs=1e-3)


@settings(max_examples=30, deadline=None)
@given(axes=st.permutations(range(3)), flips=st.lists(st.booleans(), min_size=3, max_size=3))
def test_label_on_flipped_and_permuted_axes_comes_back(axes, flips):
    affine = np.array([[-0.8, 0.36, 0.48, 5], [0.6, 0.48, 0.64, -7], [0, 0.8, -0.6, 9], [0, 0, 0, 1.0]])
    label = np.arange(24).reshape(2, 3, 4)
    flipped = [axis for axis in range(3) if flips[axis]]
    moved = np.flip(np.transpose(label, axes), flipped)
    # oracle: every voxel of the moved array knows its place by going back to the original index
    to_original = np.zeros((4, 4))
    to_original[3, 3] = 1
    for axis, source in enumerate(axes):
        to_original[source, axis] = -1 if flips[axis] else 1
        to_original[source, 3] = moved.shape[axis] - 1 if flips[axis] else 0
    np.testing.assert_array_equal(lay_on_grid(moved, affine @ to_original, label.shape, affine), label)


def test_label_on_another_grid_is_refused():
    shifted = np.eye(4)
    shifted[0, 3] = 0.01
    with pytest.raises(ValueError, match=r"2x3x4 voxels, the image 2x3x4.*up to 0.01"):
        lay_on_grid(np.zeros((2, 3, 4)), shifted, (2, 3, 4), np.eye(4))
    with pytest.raises(ValueError, match="does not lie on the image's grid"):
        lay_on_grid(np.zeros((2, 3, 4)), np.eye(4), (2, 3, 5), np.eye(4))
