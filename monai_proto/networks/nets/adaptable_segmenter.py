"""A promptable segmenter whose image encoder adapts in its last blocks, with the head that compares pixels."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import torch
from torch import nn

from monai_proto.networks.blocks.pixel_projection_head import PixelProjectionHead
from monai_proto.networks.freezing import freeze
from monai_proto.networks.nets.load_sam import load_sam
from monai_proto.networks.nets.partial_encoder import FrozenPrefix, split_encoder
from monai_proto.networks.nets.promptable_segmenter import PromptableSegmenter

__all__ = ["AdaptableSegmenter", "AdaptedFeatures", "EncoderSuffix"]

_ENCODER, _STORED_ENCODER = "segmenter.sam.image_encoder.", "sam_image_encoder."
_FROZEN = "segmenter."


class AdaptedFeatures(NamedTuple):
    """
    Attributes:
        embedding: (B, D, h, w), what the mask decoder takes.
        projection: float32 (B, P, h, w), rows of length 1 along P.
    """

    embedding: torch.Tensor
    projection: torch.Tensor


class EncoderSuffix(nn.Module):
    """
    What trains: the encoder's last blocks with the neck, and the projection head.

    Args:
        suffix: the second part of :func:`split_encoder`.
        proj: the head.
    """

    def __init__(self, suffix: nn.Module, proj: nn.Module) -> None:
        super().__init__()
        self.suffix = suffix
        self.proj = proj

    def forward(self, features: torch.Tensor) -> AdaptedFeatures:
        """
        Args:
            features: what the frozen prefix gives.
        """
        embedding = self.suffix(features)
        return AdaptedFeatures(embedding, self.proj(embedding))


class AdaptableSegmenter(nn.Module):
    """
    :class:`PromptableSegmenter` with a frozen prefix, trainable last blocks and a projection head.

    Its ``state_dict`` holds what training can change and nothing else: ``sam_image_encoder.*`` (the blocks behind the
    prefix, by the encoder's own names) and ``proj.*``. Loading needs exactly these; the frozen part stays that of
    ``sam``. A checkpoint of two trained blocks of LiteMedSAM takes 13 MB instead of 40.

    Args:
        sam: a model, or a name or checkpoint for :func:`load_sam`.
        trainable_blocks: k, the last blocks that train; 0 for the whole encoder. See :func:`split_encoder`.
        projection_dim: size of a row of the projection.
        normalization: see :class:`PromptableSegmenter`.

    Example::

        network = AdaptableSegmenter("lite_medsam", trainable_blocks=2)
        logits = network(images, boxes=boxes)  # (B, 3, H, W) and (B, 4) to (B, 1, H, W)
        embedding, projection = network(features=network.embed_prefix(images))
    """

    def __init__(
        self,
        sam: nn.Module | str | os.PathLike = "lite_medsam",
        trainable_blocks: int = 2,
        projection_dim: int = 64,
        normalization: Literal["model", "min_max"] | None = None,
    ) -> None:
        super().__init__()
        sam = sam if isinstance(sam, nn.Module) else load_sam(sam)
        self.segmenter = PromptableSegmenter(sam, normalization)
        prefix, suffix = split_encoder(sam.get_submodule("image_encoder"), trainable_blocks)
        for name, part in sam.named_children():
            if name != "image_encoder":
                freeze(part)
        self.proj = PixelProjectionHead(self.segmenter.embed_dim, projection_dim)
        # other views of modules that are registered already: in a tuple, so that no weight has two names
        self._views = (prefix, EncoderSuffix(suffix, self.proj))
        self.register_state_dict_post_hook(_keep_trained)
        self.register_load_state_dict_pre_hook(_add_frozen)

    @property
    def prefix(self) -> FrozenPrefix:
        """The frozen front of the image encoder."""
        return self._views[0]

    @property
    def student(self) -> EncoderSuffix:
        """What trains, behind the prefix."""
        return self._views[1]

    @property
    def image_encoder(self) -> nn.Module:
        """The whole image encoder, as other programs for SAM load it."""
        return self.segmenter.sam.get_submodule("image_encoder")

    def copy_student(self) -> EncoderSuffix:
        """A copy of what trains, for a teacher or a reference: without gradient, in evaluation for good."""
        duplicate = copy.deepcopy(self.student)
        freeze(duplicate)
        return duplicate

    def embed_prefix(self, images: torch.Tensor) -> torch.Tensor:
        """The prefix's output for images (B, 3, H, W), without gradient."""
        return self.prefix(self.segmenter.preprocess(images))

    def forward(
        self,
        images: torch.Tensor | None = None,
        boxes: torch.Tensor | None = None,
        points: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        features: torch.Tensor | None = None,
    ) -> torch.Tensor | AdaptedFeatures:
        """
        Args:
            images: (B, 3, H, W).
            boxes: (B, 4) or (B, P, 4), in pixels of the images.
            points: (B, N, 2) or (B, P, N, 2), in pixels of the images.
            labels: of the points, (B, N) or (B, P, N): 1 foreground, 0 background, -1 to fill up.
            features: the prefix's output, instead of images and prompts. DistributedDataParallel has to see training's
                forward pass, which is why it comes through here.

        Returns:
            logits (B, P, H, W), P = 1 for one prompt an image; with neither boxes nor points the prompt is the whole
            image. For ``features``, :class:`AdaptedFeatures`.

        Raises:
            ValueError: when not exactly one of ``images`` and ``features`` is given.
        """
        if features is not None and images is None:
            return self.student(features)
        if images is None or features is not None:
            raise ValueError("either images or features must be given.")
        size = (images.shape[-2], images.shape[-1])
        return self.segment(self.segmenter.embed(images), size, boxes, points, labels)

    def segment(
        self,
        embedding: torch.Tensor,
        size: tuple[int, int],
        boxes: torch.Tensor | None = None,
        points: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """
        The masks of images whose embedding is known.

        Args:
            embedding: (B, D, h, w).
            size: H, W of the images.
            boxes, points, labels: see :meth:`forward`.

        Returns:
            logits (B, P, H, W).
        """
        if boxes is None and points is None:
            boxes = torch.tensor([0, 0, size[1], size[0]], device=embedding.device).expand(embedding.shape[0], 4)
        boxes = None if boxes is None else self.segmenter.to_model_frame(boxes, size)
        points = None if points is None else self.segmenter.to_model_frame(points, size)
        return self.segmenter.upsample(self.segmenter.decode(embedding, boxes, points, labels).logits, size)


def _trained_names(network: AdaptableSegmenter) -> set[str]:
    """Names of the weights behind the prefix; buffers belong to them."""
    behind = {id(module) for module in network.student.modules()}
    # a ViT's positions are a bare parameter of the encoder, which the prefix or the suffix wraps
    trained = {id(value) for value in [*network.student.parameters(), *network.student.buffers()]}
    names = set()
    for module_name, module in network.named_modules():
        own = [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]
        for name, value in own:
            if id(value) in trained and (id(module) in behind or value.requires_grad):
                names.add(f"{module_name}.{name}" if module_name else name)
    return names


def _stored_name(name: str) -> str:
    return _STORED_ENCODER + name.removeprefix(_ENCODER) if name.startswith(_ENCODER) else name


def _keep_trained(network: AdaptableSegmenter, state: dict[str, Any], prefix: str, metadata: Any) -> None:
    trained = _trained_names(network)
    for key in [key for key in state if key.startswith(prefix)]:
        name = key.removeprefix(prefix)
        if not name.startswith(_FROZEN):
            continue
        value = state.pop(key)
        if name in trained:
            state[prefix + _stored_name(name)] = value


def _add_frozen(
    network: AdaptableSegmenter,
    state: dict[str, Any],
    prefix: str,
    metadata: Mapping,
    strict: bool,
    missing: list[str],
    unexpected: list[str],
    errors: list[str],
) -> None:
    stored = prefix + _STORED_ENCODER
    for key in [key for key in state if key.startswith(stored)]:
        state[prefix + _ENCODER + key.removeprefix(stored)] = state.pop(key)
    trained = _trained_names(network)
    for module_name, module in network.named_modules():
        for name, value in [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]:
            full = f"{module_name}.{name}" if module_name else name
            if full.startswith(_FROZEN) and full not in trained and name not in module._non_persistent_buffers_set:
                state.setdefault(prefix + full, value.detach())
