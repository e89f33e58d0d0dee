"""How alike patch embeddings and prototypes are: cosine, or ProtoPNet's logarithm of the distance."""

from __future__ import annotations

import torch
import torch.nn.functional as F

__all__ = ["cosine_similarity_map", "log_similarity", "squared_distance_map"]


def cosine_similarity_map(patches: torch.Tensor, prototypes: torch.Tensor) -> torch.Tensor:
    """
    Args:
        patches: (B, P, D), of any length.
        prototypes: (M, D), of any length.

    Returns:
        cosines (B, M, P).
    """
    return F.normalize(prototypes, dim=-1) @ F.normalize(patches, dim=-1).transpose(1, 2)


def squared_distance_map(patches: torch.Tensor, prototypes: torch.Tensor) -> torch.Tensor:
    """
    Args:
        patches: (B, P, D).
        prototypes: (M, D).

    Returns:
        squared Euclidean distances (B, M, P), never negative.
    """
    products = prototypes @ patches.transpose(1, 2)
    lengths = patches.square().sum(dim=-1)[:, None, :] + prototypes.square().sum(dim=-1)[None, :, None]
    return (lengths - 2 * products).relu()


def log_similarity(squared_distances: torch.Tensor, eps: float = 1e-4) -> torch.Tensor:
    """``log((d + 1) / (d + eps))``: large where the distance is small, 0 far away (ProtoPNet, Chen et al., 2019)."""
    return torch.log((squared_distances + 1) / (squared_distances + eps))
