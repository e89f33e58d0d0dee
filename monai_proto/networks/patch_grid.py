"""Where a patch of a feature map lies in the image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["patch_box"]


def patch_box(patch_index: int, grid: Sequence[int]) -> tuple[float, ...]:
    """
    The image divided evenly into patches. What a patch's embedding has seen reaches further: this is where it is
    centred.

    Args:
        patch_index: index in the flattened grid, last axis fastest.
        grid: patches along each spatial axis.

    Returns:
        (start, stop) for each axis, in fractions of the image's extent.

    Raises:
        ValueError: when the index is not in the grid.
    """
    if not 0 <= patch_index < np.prod(grid):
        raise ValueError(f"patch_index must be in the grid {tuple(grid)}, got {patch_index}.")
    cell = np.unravel_index(patch_index, tuple(grid))
    return tuple(edge for i, n in zip(cell, grid, strict=True) for edge in (float(i) / n, float(i + 1) / n))
