"""Labels that a network gives to unlabelled voxels."""

from __future__ import annotations

import torch

__all__ = ["pseudo_labels"]


def pseudo_labels(logits: torch.Tensor, confidence_floor: float = 0.0, ignore_index: int = -1) -> torch.Tensor:
    """
    The most probable class of every voxel, or ``ignore_index`` where its probability is below the floor.

    Args:
        logits: (B, C, *spatial).
        confidence_floor: least softmax probability, 0 takes every voxel.
        ignore_index: label of the voxels left out.

    Returns:
        int64 (B, 1, *spatial), without gradient.
    """
    probability, label = logits.detach().float().softmax(dim=1).max(dim=1, keepdim=True)
    if confidence_floor <= 0:
        return label
    return torch.where(probability >= confidence_floor, label, ignore_index)
