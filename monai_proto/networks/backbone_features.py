"""Features of an image from the networks that people have: MONAI's, timm's, vision transformers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, cast

import torch
from torch import nn

__all__ = ["BackboneFeatures", "backbone_features"]


class BackboneFeatures(NamedTuple):
    """
    Attributes:
        pooled: (B, F): class token of a transformer that has one, else the mean over the patches.
        patches: (B, P, F), the last axis of the grid fastest.
        grid: patches along each spatial axis; their product is P.
    """

    pooled: torch.Tensor
    patches: torch.Tensor
    grid: tuple[int, ...]


def backbone_features(backbone: nn.Module, images: torch.Tensor, prefix_tokens: int | None = None) -> BackboneFeatures:
    """
    Run a backbone and bring what it gives into one form.

    Understood are networks that give a map (B, F, *grid) or a list of maps of which the last counts (MONAI's
    ``EfficientNetBNFeatures``, ``ResNetFeatures``, any convolutional trunk), timm models (by ``forward_features``),
    MONAI's ``ViT`` and ``MaskedAutoEncoderViT`` (its encoder, nothing masked), and transformers that give tokens
    (B, P, F).

    Args:
        backbone: the network.
        images: (B, M, *spatial).
        prefix_tokens: tokens before the patches, of which the first is the class token; by default read off the
            backbone.

    Raises:
        ValueError: when the result has no known form, or tokens do not fill the grid.
    """
    forward_features: Callable[[torch.Tensor], Any] | None = getattr(backbone, "forward_features", None)
    if forward_features is not None:
        features = forward_features(images)
        tokens = getattr(backbone, "num_prefix_tokens", 0)
    elif hasattr(backbone, "patch_embedding") and hasattr(backbone, "blocks"):
        features, tokens = _encode_tokens(backbone, images), int(hasattr(backbone, "cls_token"))
    else:
        features, tokens = backbone(images), int(hasattr(backbone, "cls_token"))
    if isinstance(features, (list, tuple)):
        features = features[-1]
    tokens = tokens if prefix_tokens is None else prefix_tokens
    spatial = tuple(images.shape[2:])
    if features.ndim == len(spatial) + 2:
        patches = features.flatten(2).transpose(1, 2)
        return BackboneFeatures(patches.mean(dim=1), patches, tuple(features.shape[2:]))
    if features.ndim == 3:
        patches = features[:, tokens:]
        pooled = features[:, 0] if tokens else patches.mean(dim=1)
        return BackboneFeatures(pooled, patches, _token_grid(patches.shape[1], spatial))
    raise ValueError(
        f"backbone must give a map (B, F, *grid), a list of them, or tokens (B, P, F); {type(backbone).__name__} gave "
        f"{tuple(features.shape)} for images {tuple(images.shape)}."
    )


def _token_grid(num_patches: int, spatial: tuple[int, ...]) -> tuple[int, ...]:
    """The grid of square patches that fills an image with as many patches."""
    for size in range(1, max(spatial) + 1):
        grid = tuple(length // size for length in spatial)
        if torch.Size(grid).numel() == num_patches:
            return grid
    raise ValueError(
        f"{num_patches} tokens fill no grid of equal patches in an image of size {spatial}; give prefix_tokens if some "
        "of them are no patches."
    )


def _encode_tokens(network: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """All tokens of MONAI's vision transformers; their forward passes add a classifier, or mask patches."""
    tokens = network.get_submodule("patch_embedding")(images)
    class_token: torch.Tensor | None = getattr(network, "cls_token", None)
    if class_token is not None:
        tokens = torch.cat([class_token.expand(len(tokens), -1, -1), tokens], dim=1)
    for block in cast("nn.ModuleList", network.blocks):  # torch says of every attribute: a tensor or a module
        tokens = block(tokens)
    return network.get_submodule("norm")(tokens) if hasattr(network, "norm") else tokens
