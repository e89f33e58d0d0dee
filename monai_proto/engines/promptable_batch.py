"""Brings a batch of images of any sizes, with boxes and masks, into the frame of a promptable segmenter."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F

from monai_proto.networks.nets.promptable_segmenter import PromptableSegmenter

__all__ = ["PromptableBatch", "promptable_batch"]


class PromptableBatch(NamedTuple):
    """
    A batch in the model frame of S by S pixels, in which images of all sizes are alike.

    Attributes:
        features: (B, ...), of the encoder's frozen prefix.
        small: boxes inside of the objects (B, 4), in pixels of the model frame.
        big: boxes around them (B, 4).
        inside: bool (B, 1, S, S), where the image lies; the rest is padding.
        masks: float32 (B, 1, S, S), 0 or 1; None where there are none.
    """

    features: torch.Tensor
    small: torch.Tensor
    big: torch.Tensor
    inside: torch.Tensor
    masks: torch.Tensor | None


def promptable_batch(
    segmenter: PromptableSegmenter,
    prefix: Callable[[torch.Tensor], torch.Tensor],
    images: torch.Tensor,
    small: torch.Tensor,
    big: torch.Tensor,
    sizes: torch.Tensor | None = None,
    masks: torch.Tensor | None = None,
    check: Callable[[torch.Tensor, torch.Tensor], None] | None = None,
) -> PromptableBatch:
    """
    Args:
        segmenter: whose frame is meant.
        prefix: from images (b, 3, h, w) of one size to features, such as a :class:`PrefixCache`.
        images: (B, 3, H, W); smaller ones are filled up at the right and below.
        small: (B, 4), in pixels of the images.
        big: (B, 4).
        sizes: height and width of each image without what was filled up (B, 2); (H, W) for all without.
        masks: (B, 1, H, W), the object where above 0.
        check: refuses small and big boxes (B, 4) by an error. It sees them in the model frame and where the loader left
            them: on an accelerator the host would have to wait for their values.

    Raises:
        ValueError: when shapes do not fit, and what ``check`` raises.
    """
    batch = images.shape[0]
    for name, boxes in (("small", small), ("big", big)):
        if boxes.shape != (batch, 4):
            raise ValueError(f"{name} must have shape ({batch}, 4), got {tuple(boxes.shape)}.")
    if masks is not None and masks.shape != (batch, 1, *images.shape[-2:]):
        raise ValueError(f"masks must have shape ({batch}, 1, H, W) of the images, got {tuple(masks.shape)}.")
    groups = _rows_by_size(images, sizes)
    small, big = (_boxes_in_model_frame(boxes, segmenter, groups) for boxes in (small, big))
    if check is not None:
        check(small, big)
    parts: list[PromptableBatch] = []
    order: list[int] = []
    for size, rows in groups.items():
        height, width = size
        order += rows
        of_size = slice(None) if len(rows) == batch else rows
        features = prefix(images[of_size, :, :height, :width])
        device = features.device
        parts.append(
            PromptableBatch(
                features,
                small[of_size].to(device),
                big[of_size].to(device),
                _in_model_frame(torch.ones(len(rows), 1, height, width, device=device), segmenter, size) > 0,
                None
                if masks is None
                else _in_model_frame((masks[of_size, :, :height, :width].to(device) > 0).float(), segmenter, size),
            )
        )
    if len(parts) == 1:
        return parts[0]
    back = torch.tensor(order).argsort()

    def joined(values: list[torch.Tensor]) -> torch.Tensor:
        return torch.cat(values)[back.to(values[0].device)]

    return PromptableBatch(
        joined([part.features for part in parts]),
        joined([part.small for part in parts]),
        joined([part.big for part in parts]),
        joined([part.inside for part in parts]),
        None if masks is None else joined([part.masks for part in parts if part.masks is not None]),
    )


def _rows_by_size(images: torch.Tensor, sizes: torch.Tensor | None) -> dict[tuple[int, int], list[int]]:
    height, width = images.shape[-2:]
    rows: dict[tuple[int, int], list[int]] = {}
    for row, size in enumerate([(height, width)] * len(images) if sizes is None else sizes.tolist()):
        rows.setdefault((int(size[0]), int(size[1])), []).append(row)
    return rows


def _boxes_in_model_frame(
    boxes: torch.Tensor, segmenter: PromptableSegmenter, groups: dict[tuple[int, int], list[int]]
) -> torch.Tensor:
    framed = torch.empty_like(boxes, dtype=torch.float32)
    for size, rows in groups.items():
        framed[rows] = segmenter.to_model_frame(boxes[rows], size)
    return framed


def _in_model_frame(masks: torch.Tensor, segmenter: PromptableSegmenter, size: tuple[int, int]) -> torch.Tensor:
    height, width = segmenter.scaled_size(size)
    masks = F.interpolate(masks, (height, width), mode="nearest-exact")
    return F.pad(masks, (0, segmenter.input_size[1] - width, 0, segmenter.input_size[0] - height))
