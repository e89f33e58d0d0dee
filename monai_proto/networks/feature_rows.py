"""Feature maps and label maps as rows."""

from __future__ import annotations

import torch
import torch.nn.functional as F

__all__ = ["labels_on_grid", "rows_of_map"]


def rows_of_map(features: torch.Tensor) -> torch.Tensor:
    """A feature map (B, D, *grid) as rows (N, D), N voxels in the order of ``labels.reshape(-1)``."""
    return features.movedim(1, -1).reshape(-1, features.shape[1])


def labels_on_grid(labels: torch.Tensor, grid: torch.Size) -> torch.Tensor:
    """
    A label map on the grid of a feature map: the label of the voxel at the middle of each cell.

    Args:
        labels: integers (B, 1, *spatial).
        grid: spatial shape of the feature map.

    Returns:
        int64 (N,), N = B times the cells of the grid.
    """
    if labels.shape[2:] != grid:
        labels = F.interpolate(labels.float(), size=tuple(grid), mode="nearest-exact")
    return labels.long().reshape(-1)
