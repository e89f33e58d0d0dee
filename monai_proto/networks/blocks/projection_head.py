"""Pointwise heads that map a feature map to the space in which features are compared."""

from __future__ import annotations

from monai.networks.layers.factories import Conv, Norm
from torch import nn

__all__ = ["ProjectionHead"]


class ProjectionHead(nn.Sequential):
    """
    Convolution of size 1, batch normalisation, ReLU, convolution of size 1: SS-Net's projection and prediction heads
    (Linear, BatchNorm1d, ReLU, Linear on rows; Wu et al., MICCAI 2022), on whole maps.

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the feature map.
        out_channels: size D of an embedding.
        hidden_channels: channels between the two convolutions, D by default.
    """

    def __init__(
        self, spatial_dims: int, in_channels: int, out_channels: int, hidden_channels: int | None = None
    ) -> None:
        hidden_channels = hidden_channels or out_channels
        conv = Conv[Conv.CONV, spatial_dims]
        super().__init__(
            conv(in_channels, hidden_channels, kernel_size=1),
            Norm[Norm.BATCH, spatial_dims](hidden_channels),
            nn.ReLU(),
            conv(hidden_channels, out_channels, kernel_size=1),
        )
