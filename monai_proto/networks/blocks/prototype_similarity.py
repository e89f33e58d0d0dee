"""How alike patch embeddings and prototypes are: cosine, or ProtoPNet's logarithm of the distance."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

__all__ = [
    "CosineSimilarity",
    "LogSimilarity",
    "PatchSimilarity",
    "cosine_similarity_map",
    "log_similarity",
    "squared_distance_map",
]


class PatchSimilarity(nn.Module):
    """
    How alike a patch and a prototype are: what the similarities of a :class:`PrototypeHead` have in common.

    Args:
        unit: whether embeddings and prototypes have length 1.
    """

    def __init__(self, unit: bool) -> None:
        super().__init__()
        self.unit = unit

    def projection(self, in_features: int, embedding_dim: int) -> nn.Module:
        """The layer from features to the embeddings that are compared."""
        return nn.Linear(in_features, embedding_dim)

    def start(self, prototypes: torch.Tensor) -> None:
        """Put prototypes (M, D) where embeddings are at the start, in place; the bank's unit vectors may stay."""

    def forward(self, patches: torch.Tensor, prototypes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """
        Args:
            patches: embeddings (B, P, D).
            prototypes: (M, D).

        Returns:
            similarity and distance (B, M, P).
        """
        raise NotImplementedError


class CosineSimilarity(PatchSimilarity):
    """Cosine of patch embeddings and prototypes, which are unit vectors; the distance is 1 minus it."""

    def __init__(self) -> None:
        super().__init__(unit=True)

    def forward(self, patches: torch.Tensor, prototypes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        similarities = cosine_similarity_map(patches, prototypes)
        return similarities, 1 - similarities


class LogSimilarity(PatchSimilarity):
    """
    ProtoPNet's :func:`log_similarity` of the squared Euclidean distance, which is the distance (Chen et al., NeurIPS
    2019); embeddings and prototypes lie in 0 .. 1.
    """

    def __init__(self) -> None:
        super().__init__(unit=False)

    def projection(self, in_features: int, embedding_dim: int) -> nn.Module:
        return nn.Sequential(super().projection(in_features, embedding_dim), nn.Sigmoid())

    def start(self, prototypes: torch.Tensor) -> None:
        nn.init.uniform_(prototypes)

    def forward(self, patches: torch.Tensor, prototypes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        distances = squared_distance_map(patches, prototypes)
        return log_similarity(distances), distances


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
