"""The head that maps an image embedding to the unit rows that pixels are compared by."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

__all__ = ["PixelProjectionHead"]


class PixelProjectionHead(nn.Module):
    """
    Convolution of size 1, batch normalisation, GELU, convolution of size 1, and rows of length 1.

    Args:
        in_channels: channels of the image embedding.
        out_channels: size D of a row.

    Example::

        PixelProjectionHead()(torch.randn(2, 256, 64, 64)).shape  # (2, 64, 64, 64)
    """

    def __init__(self, in_channels: int = 256, out_channels: int = 64) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(in_channels, in_channels, kernel_size=1),
            nn.BatchNorm2d(in_channels),
            nn.GELU(),
            nn.Conv2d(in_channels, out_channels, kernel_size=1),
        )

    def forward(self, embedding: torch.Tensor) -> torch.Tensor:
        """
        Args:
            embedding: (B, ``in_channels``, h, w).

        Returns:
            float32 (B, D, h, w), of length 1 along D, under autocast too: half precision is too coarse for cosines
            that are divided by a temperature.
        """
        return F.normalize(self.layers(embedding).float(), dim=1)
