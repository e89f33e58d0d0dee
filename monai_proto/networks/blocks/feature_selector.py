"""The small network that says how typical a row is of its class, one per class."""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["FeatureSelector"]


class FeatureSelector(nn.Sequential):
    """
    Scores rows of features: Linear, BatchNorm1d, LeakyReLU(0.2), Linear to one value.

    The layers and their order are those of SemiSeg-Contrastive (Alonso et al., "Semi-Supervised Semantic Segmentation
    with Pixel-Level Contrastive Learning from a Class-wise Memory Bank", ICCV 2021) and of SS-Net (Wu et al.,
    "Exploring Smoothness and Class-Separation for Semi-supervised Medical Image Segmentation", MICCAI 2022), so that
    their weights load as they are. The input is always detached: a selector learns to weigh features and never
    changes them.

    Args:
        feature_dim: size D of a row.

    Example::

        selector = FeatureSelector(feature_dim=16).eval()
        scores = selector(torch.randn(100, 16)).sigmoid()  # (100, 1)
    """

    def __init__(self, feature_dim: int) -> None:
        super().__init__(
            nn.Linear(feature_dim, feature_dim),
            nn.BatchNorm1d(feature_dim),
            nn.LeakyReLU(negative_slope=0.2),
            nn.Linear(feature_dim, 1),
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """
        Args:
            features: rows (N, D).

        Returns:
            raw scores (N, 1), before the sigmoid.
        """
        return super().forward(features.detach())
