"""Voxel grids: how far two affines put one apart, and a label map laid on the grid of its image."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from monai_proto.data.nifti import shape_text

__all__ = ["grid_deviation", "lay_on_grid"]

_TOLERANCE = 1e-3  # mm


def grid_deviation(shape: Sequence[int], affine: np.ndarray, other_affine: np.ndarray) -> float:
    """
    Largest distance between the places that two affines give the corner voxels of a grid.

    Args:
        shape: voxels along each axis; the first three are the grid.
        affine: voxel indices to world coordinates in mm (4, 4).
        other_affine: the same.

    Returns:
        distance in mm; NaN when an affine is not finite.
    """
    grid = (*shape, 1, 1)[:3]
    corners = np.array([*itertools.product(*((0, size - 1) for size in grid))])
    homogeneous = np.column_stack([corners, np.ones(len(corners))])
    difference = np.asarray(other_affine, dtype=np.float64) - np.asarray(affine, dtype=np.float64)
    return float(np.linalg.norm((homogeneous @ difference.T)[:, :3], axis=1).max())


def lay_on_grid(
    label: np.ndarray, label_affine: np.ndarray, shape: Sequence[int], affine: np.ndarray, tolerance: float = _TOLERANCE
) -> np.ndarray:
    """
    Flip and permute the axes of a label map so that its voxels lie where those of the image do; nothing is resampled.

    Args:
        label: label map (I, J, K).
        label_affine: its voxel indices to mm, in any world frame (4, 4).
        shape: voxels of the image along each axis.
        affine: the image's voxel indices to mm, in the same frame (4, 4).
        tolerance: mm that voxels may be apart.

    Returns:
        label map of ``shape``.

    Raises:
        ValueError: when the voxels of the two are not the same places.
    """
    to_image = np.linalg.inv(affine) @ label_affine
    axes = np.argmax(np.abs(to_image[:3, :3]), axis=1)  # axis of the label that runs along each axis of the image
    if sorted(axes) == [0, 1, 2]:
        laid = np.transpose(label, axes)
        flipped = [axis for axis, source in enumerate(axes) if to_image[axis, source] < 0]
        laid_affine = _moved_affine(label_affine, label.shape, axes, flipped)
        if laid.shape == tuple(shape) and grid_deviation(shape, affine, laid_affine) <= tolerance:
            return np.flip(laid, tuple(flipped))
    distance = _corner_distance(label, label_affine, shape, affine)
    raise ValueError(
        f"the label map does not lie on the image's grid: it has {shape_text(label.shape)} voxels, the image "
        f"{shape_text(tuple(shape))}, and their corners are up to {distance} mm apart"
    )


def _moved_affine(affine: np.ndarray, shape: Sequence[int], axes: Sequence[int], flipped: Sequence[int]) -> np.ndarray:
    moved = np.array(affine, float)
    moved[:3, :3] = affine[:3, axes]
    for axis in flipped:
        moved[:3, 3] += moved[:3, axis] * (shape[axes[axis]] - 1)
        moved[:3, axis] *= -1
    return moved


def _corner_distance(label: np.ndarray, label_affine: np.ndarray, shape: Sequence[int], affine: np.ndarray) -> str:
    def corners(size: Sequence[int], matrix: np.ndarray) -> np.ndarray:
        indices = np.array([*itertools.product(*((0, length - 1) for length in size))])
        return indices @ matrix[:3, :3].T + matrix[:3, 3]

    here, there = corners(label.shape, label_affine), corners(shape, affine)
    nearest = np.linalg.norm(here[:, None] - there[None], axis=-1).min(axis=1)
    return f"{nearest.max():.3g}"
