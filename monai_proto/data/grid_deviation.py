"""How far two affines put the same voxel grid apart."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

__all__ = ["grid_deviation"]


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
