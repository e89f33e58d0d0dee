"""The parts of LiteMedSAM's TinyViT: timm's blocks on maps (B, C, h, w), their weights named as LiteMedSAM's."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from timm.models.tiny_vit import Attention, ConvNorm, MBConv, PatchMerging, TinyVitBlock
from torch import nn

__all__ = ["TinyViTBlock", "TinyViTLayer", "TinyViTPatchEmbedding"]


class TinyViTPatchEmbedding(nn.Module):
    """
    Two pointwise convolutions. TinyViT (Wu et al., ECCV 2022) quarters the resolution here; LiteMedSAM keeps it, which
    is why 256 px give it SAM's 64x64 embedding.

    Args:
        in_channels: channels of the image.
        out_channels: channels of the map, which keeps the image's height and width.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.seq = nn.Sequential(
            ConvNorm(in_channels, out_channels // 2), nn.GELU(), ConvNorm(out_channels // 2, out_channels)
        )
        _take_published_names(self)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.seq(images)


class TinyViTBlock(TinyVitBlock):
    """
    Attention within windows, depthwise convolution, MLP: timm's block, on maps (B, C, h, w) of any height and width.

    Args:
        channels: C, a multiple of ``num_heads``.
        num_heads: attention heads.
        window_size: side of an attention window, in cells of the map.
    """

    def __init__(self, channels: int, num_heads: int, window_size: int) -> None:
        super().__init__(channels, num_heads, window_size)
        self.attn = _WindowAttention(
            channels, channels // num_heads, num_heads, attn_ratio=1, resolution=(window_size, window_size)
        )
        _take_published_names(self)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        # timm's block takes the channels last; between two blocks both permutations are only another view
        return super().forward(features.permute(0, 2, 3, 1).contiguous()).permute(0, 3, 1, 2)


class TinyViTLayer(nn.Module):
    """
    A stage of TinyViT: blocks at one resolution, then, but for the last stage, the step to the next stage's width.

    Args:
        blocks: modules from (B, C, h, w) to the same shape.
        channels: C.
        next_channels: channels of the next stage, None after the last one.
        stride: 2 halves height and width on the way to the next stage, 1 keeps them (LiteMedSAM's last step, where
            TinyViT has 2).
    """

    def __init__(self, blocks: Sequence[nn.Module], channels: int, next_channels: int | None, stride: int = 2) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.downsample = None
        if next_channels is not None:
            self.downsample = PatchMerging(channels, next_channels, act_layer=nn.GELU)
            self.downsample.conv2.conv.stride = (stride, stride)
        _take_published_names(self)

    @classmethod
    def of_convolutions(cls, depth: int, channels: int, next_channels: int) -> TinyViTLayer:
        """The first stage: ``depth`` inverted residual blocks with an expansion of 4."""
        blocks = [MBConv(channels, channels, 4.0, nn.GELU, drop_path=0.0) for _ in range(depth)]
        return cls(blocks, channels, next_channels)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            features = block(features)
        return features if self.downsample is None else self.downsample(features)


class _WindowAttention(Attention):
    """
    timm's attention without its cache. In evaluation timm keeps the position biases of the first pass, which a moving
    average or an optimiser then no longer reaches, and whose graph a second backward pass would need again.
    """

    attention_bias_idxs: torch.Tensor

    def get_attention_biases(self, device: torch.device) -> torch.Tensor:
        return self.attention_biases[:, self.attention_bias_idxs]


def _take_published_names(module: nn.Module) -> None:
    """Name convolution and normalisation `c` and `bn` as in LiteMedSAM's weights, where timm has `conv` and `bn`."""
    for name, child in module.named_children():
        if isinstance(child, ConvNorm):
            setattr(module, name, nn.Sequential(OrderedDict(c=child.conv, bn=child.bn)))
        else:
            _take_published_names(child)
