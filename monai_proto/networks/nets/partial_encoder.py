"""Splits an image encoder into a frozen prefix that runs once and a suffix that trains."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple, cast

import torch
from torch import nn

from monai_proto.networks.freezing import freeze, keep_in_evaluation, thaw

__all__ = ["FrozenPrefix", "SplitEncoder", "count_blocks", "split_encoder"]


class FrozenPrefix(nn.Sequential):
    """
    The front of an encoder, without gradient. It gives what its :class:`SplitEncoder`'s suffix takes: a map
    (B, C, h, w) of TinyViT, (B, h, w, C) of SAM's ViT, or, when nothing is frozen, the images themselves.
    """

    @torch.no_grad()
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return super().forward(images)


class SplitEncoder(NamedTuple):
    """
    An encoder in two parts: ``suffix(prefix(images))`` is ``encoder(images)``.

    Both parts hold the encoder's own modules, so that the encoder's ``state_dict`` follows the training. Copies of the
    suffix (``copy.deepcopy``) serve as teacher and as frozen reference on the same prefix.

    Attributes:
        prefix: frozen, in evaluation for good.
        suffix: the trainable blocks and the neck.
    """

    prefix: FrozenPrefix
    suffix: nn.Sequential


def split_encoder(encoder: nn.Module, trainable_blocks: int, batch_statistics: bool = False) -> SplitEncoder:
    """
    Freeze all of ``encoder`` that lies in front of its last ``trainable_blocks`` blocks, in place.

    Blocks are counted from the back over all stages. What lies behind the first trainable block trains too: the steps
    between two stages, and the neck. Splitting once more replaces the earlier division.

    Args:
        encoder: SAM's ``ImageEncoderViT``, LiteMedSAM's ``TinyViTImageEncoder``, or any encoder whose method
            ``steps()`` lists its modules and their names in order, blocks named ``...blocks.<number>``.
        trainable_blocks: k; 0 means all of the encoder, embedding of patches and positions included.
        batch_statistics: whether batch normalisation in the suffix takes and updates the statistics of the batch. By
            default it keeps those it came with and trains its weight and bias only: a few images a batch give poor
            statistics, and student, teacher and reference start from the same embedding.

    Raises:
        ValueError: when ``trainable_blocks`` is negative or more than the encoder has, or its modules are not known.

    Example::

        prefix, suffix = split_encoder(sam.image_encoder, trainable_blocks=2)
        teacher = copy.deepcopy(suffix)
        features = prefix(images)  # once
        embedding, target = suffix(features), teacher(features)
    """
    steps = _steps_of(encoder)
    starts = _block_positions(steps)
    if not 0 <= trainable_blocks <= len(starts):
        raise ValueError(
            f"trainable_blocks must be in 0 .. {len(starts)}, the blocks of {type(encoder).__name__} "
            f"(0: train all of it), got {trainable_blocks}."
        )
    cut = starts[-trainable_blocks] if trainable_blocks else 0
    thaw(encoder)
    prefix = FrozenPrefix(_named(steps[:cut]))
    suffix = nn.Sequential(_named(steps[cut:]))
    freeze(prefix)
    if not batch_statistics:
        for module in suffix.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                keep_in_evaluation(module)
    return SplitEncoder(prefix, suffix)


def count_blocks(encoder: nn.Module) -> int:
    """The number of blocks of an encoder, and so the most that ``trainable_blocks`` may be."""
    return len(_block_positions(_steps_of(encoder)))


class _ViTEmbedding(nn.Module):
    """Patches and positions of SAM's ViT, which are a module and a bare parameter of the encoder."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.patch_embed = encoder.get_submodule("patch_embed")
        self.pos_embed: torch.Tensor | None = getattr(encoder, "pos_embed", None)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        patches = self.patch_embed(images)
        return patches if self.pos_embed is None else patches + self.pos_embed


class _ViTNeck(nn.Module):
    """SAM's neck, which takes the channels first where the blocks have them last."""

    def __init__(self, neck: nn.Module) -> None:
        super().__init__()
        self.neck = neck

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.neck(features.permute(0, 3, 1, 2))


def _steps_of(encoder: nn.Module) -> list[tuple[str, nn.Module]]:
    steps: Callable[[], list[tuple[str, nn.Module]]] | None = getattr(encoder, "steps", None)
    if steps is not None:
        return steps()
    if all(hasattr(encoder, name) for name in ("patch_embed", "pos_embed", "blocks", "neck")):
        layers = cast("nn.ModuleList", encoder.blocks)  # torch says of every attribute: a tensor or a module
        blocks = [(f"blocks.{i}", block) for i, block in enumerate(layers)]
        return [("embedding", _ViTEmbedding(encoder)), *blocks, ("neck", _ViTNeck(encoder.get_submodule("neck")))]
    raise ValueError(
        f"encoder must be SAM's ImageEncoderViT (patch_embed, pos_embed, blocks, neck) or have a method steps() that "
        f"lists its modules in order, got {type(encoder).__name__}."
    )


def _block_positions(steps: list[tuple[str, nn.Module]]) -> list[int]:
    return [i for i, (name, _) in enumerate(steps) if re.search(r"(^|\.)blocks\.\d+$", name)]


def _named(steps: list[tuple[str, nn.Module]]) -> OrderedDict[str, nn.Module]:
    return OrderedDict((name.replace(".", "_"), module) for name, module in steps)
