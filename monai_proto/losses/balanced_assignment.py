"""Rows assigned to the prototypes of their class, about as many to each."""

from __future__ import annotations

import torch
import torch.nn.functional as F

__all__ = ["balanced_assignment"]


def balanced_assignment(
    cosines: torch.Tensor, labels: torch.Tensor, num_classes: int, temperature: float = 0.05, rounds: int = 3
) -> torch.Tensor:
    """
    Sinkhorn and Knopp's balancing within each class, as Zhou et al. ("Rethinking Semantic Segmentation: A Prototype
    View", CVPR 2022, eq. 8) cluster pixels: without it, one prototype of a class comes to own all of its rows.

    Args:
        cosines: of each row to the K prototypes of its own class, (N, K).
        labels: class of each row (N,), int64 in 0 .. C-1.
        num_classes: C.
        temperature: the lower, the nearer to the plain nearest prototype.
        rounds: how often shares are divided by what a prototype gets in all, and by what a row gives.

    Returns:
        int64 (N,), in 0 .. K-1.
    """
    shares = (cosines.float() / temperature).exp()
    for _ in range(rounds):
        of_prototype = shares.new_zeros(num_classes, shares.shape[1]).index_add(0, labels, shares)
        shares = F.normalize(shares / of_prototype[labels], p=1, dim=1)
    return shares.argmax(dim=1)
