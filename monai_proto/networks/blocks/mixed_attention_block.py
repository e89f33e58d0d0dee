"""Relates a set of prototypes to an image and to each other."""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["MixedAttentionBlock"]


class MixedAttentionBlock(nn.Module):
    """
    Three views of the prototypes, mixed by a gate: what the image's patches say (cross-attention), what the other
    prototypes say (self-attention), and the prototype alone (a pointwise MLP).

    The gate is a softmax over the three branches of every prototype, computed from the branches themselves, so that
    its weights are positive and sum to 1.

    Args:
        embedding_dim: size D of an embedding.
        num_heads: attention heads.

    Raises:
        ValueError: when ``embedding_dim`` is not a multiple of ``num_heads``.

    Example::

        block = MixedAttentionBlock(embedding_dim=64, num_heads=4)
        block(torch.randn(2, 35, 64), torch.randn(2, 49, 64)).shape  # (2, 35, 64)
    """

    def __init__(self, embedding_dim: int, num_heads: int) -> None:
        super().__init__()
        if num_heads < 1 or embedding_dim % num_heads:
            raise ValueError(f"embedding_dim {embedding_dim} must be a multiple of num_heads, got {num_heads}.")
        self.cross_attention = nn.MultiheadAttention(embedding_dim, num_heads, batch_first=True)
        self.self_attention = nn.MultiheadAttention(embedding_dim, num_heads, batch_first=True)
        self.pointwise = nn.Sequential(
            nn.Linear(embedding_dim, embedding_dim), nn.GELU(), nn.Linear(embedding_dim, embedding_dim)
        )
        self.norm = nn.LayerNorm(embedding_dim)
        self.gate = nn.Linear(3 * embedding_dim, 3)

    def forward(
        self, prototypes: torch.Tensor, patches: torch.Tensor, valid_mask: torch.Tensor | None = None
    ) -> torch.Tensor:
        """
        Args:
            prototypes: (B, M, D).
            patches: patch embeddings (B, P, D).
            valid_mask: (M,) bool, prototypes that take part; None for all.

        Returns:
            (B, M, D); zero for prototypes that take no part.
        """
        mixed, _ = self.mix(prototypes, patches, valid_mask)
        return mixed

    def mix(
        self, prototypes: torch.Tensor, patches: torch.Tensor, valid_mask: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """As :meth:`forward`, with the gate's weights (B, M, 3) of the cross, self and pointwise branch."""
        queries = self.norm(prototypes)
        padding: torch.Tensor | None = None
        if valid_mask is not None:
            padding = (~valid_mask).expand(len(prototypes), -1)
        across, _ = self.cross_attention(queries, patches, patches, need_weights=False)
        among, _ = self.self_attention(queries, queries, queries, key_padding_mask=padding, need_weights=False)
        branches = torch.stack([across, among, self.pointwise(queries)], dim=2)
        weights = self.gate(branches.flatten(2)).softmax(dim=-1)
        mixed = (weights[..., None] * branches).sum(dim=2)
        if valid_mask is not None:
            mixed = torch.where(valid_mask[None, :, None], mixed, 0.0)
        return mixed, weights
