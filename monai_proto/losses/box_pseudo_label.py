"""Makes a pseudo-label from a teacher's mask and from what the two boxes of an object say."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F

from monai_proto.losses.box_prior import apply_box_prior, boxes_to_masks

__all__ = ["BoxPseudoLabel", "BoxPseudoLabeler", "box_pseudo_label", "extent_threshold", "mask_entropy"]

_BOX_PRIORS = ("both", "big_box", "none")
_FAR = 1e4  # a logit without entropy: it is 0 from 104 on, and infinity times 0 would be NaN
_LARGEST_THRESHOLD, _THRESHOLD_STEP = 6.0, 0.5  # logits that the extent of a mask is tried at


class BoxPseudoLabel(NamedTuple):
    """
    Attributes:
        mask: float32 (B, 1, H, W), 0 or 1.
        raw: the teacher's logits (B, 1, H, W), without padding; what boxes say is not in them.
        entropy: mean binary entropy of the teacher's mask (B,), in nats.
        trusted: bool (B,).
        certain: bool (B, 1, H, W), pixels that the boxes decide.
    """

    mask: torch.Tensor
    raw: torch.Tensor
    entropy: torch.Tensor
    trusted: torch.Tensor
    certain: torch.Tensor


def box_pseudo_label(
    logits: torch.Tensor,
    small: torch.Tensor,
    big: torch.Tensor,
    inside: torch.Tensor | None = None,
    max_entropy: float = 0.2,
    box_prior: str = "both",
    fit_extent: bool = True,
) -> BoxPseudoLabel:
    """
    Args:
        logits: the teacher's (B, 1, H, W).
        small: boxes inside of the objects (B, 4), in pixels of ``logits``.
        big: boxes around them (B, 4).
        inside: bool (B, 1, H, W), where there is an image; everywhere without. The entropy is the mean over it.
        max_entropy: of a trusted pseudo-label, in nats.
        box_prior: what overwrites the teacher's mask: ``"both"`` boxes, the ``"big_box"`` only (where small boxes lie
            partly outside of bent objects), or ``"none"``.
        fit_extent: whether the mask is taken above :func:`extent_threshold` instead of above 0.

    Raises:
        ValueError: when ``box_prior`` is unknown, or shapes do not fit.
    """
    _require_prior(box_prior)
    logits = logits.detach().float()
    if inside is not None:
        logits = logits.masked_fill(~inside, -_FAR)
    entropy = mask_entropy(logits)
    if inside is not None:
        entropy = entropy / inside.float().mean(dim=(1, 2, 3))
    scores = logits
    if fit_extent:
        scores = logits - extent_threshold(logits, small, big)[:, None, None, None]
    certain = torch.zeros_like(logits, dtype=torch.bool)
    if box_prior != "none":
        core = small if box_prior == "both" else torch.zeros_like(small)  # a box without area holds no pixel
        scores = apply_box_prior(scores, core, big)
        size = logits.shape[-2:]
        certain = boxes_to_masks(core, size) | ~boxes_to_masks(big, size)
    return BoxPseudoLabel((scores > 0).float(), logits, entropy, entropy <= max_entropy, certain)


class BoxPseudoLabeler:
    """
    :func:`box_pseudo_label` with its options: what makes pseudo-labels in a trainer.

    Args:
        max_entropy: of a trusted pseudo-label, in nats.
        box_prior: what overwrites the teacher's mask, ``"both"`` boxes, the ``"big_box"`` only, or ``"none"``.
        fit_extent: whether the mask is taken above :func:`extent_threshold` instead of above 0.

    Raises:
        ValueError: when ``box_prior`` is unknown.
    """

    def __init__(self, max_entropy: float = 0.2, box_prior: str = "both", fit_extent: bool = True) -> None:
        _require_prior(box_prior)
        self.max_entropy = max_entropy
        self.box_prior = box_prior
        self.fit_extent = fit_extent

    def __call__(
        self, logits: torch.Tensor, small: torch.Tensor, big: torch.Tensor, inside: torch.Tensor | None = None
    ) -> BoxPseudoLabel:
        """
        Args:
            logits: the teacher's (B, 1, H, W).
            small: boxes inside of the objects (B, 4), in pixels of ``logits``.
            big: boxes around them (B, 4).
            inside: bool (B, 1, H, W), where there is an image; everywhere without.
        """
        return box_pseudo_label(logits, small, big, inside, self.max_entropy, self.box_prior, self.fit_extent)


def extent_threshold(logits: torch.Tensor, small: torch.Tensor, big: torch.Tensor) -> torch.Tensor:
    """
    The threshold from -6 to 6 above which a mask reaches as far as the boxes say, and 0 where none fits better.

    The two boxes lie on either side of the object's own bounding box. A teacher that sees too little or too much of an
    object does so at every side; the threshold whose mask has the bounding box with the largest overlap with the one
    halfway between the two corrects that, as the tightness of boxes does in weakly supervised segmentation (Hsu et
    al., NeurIPS 2019). Rows and columns with a single pixel do not count: specks say nothing of the extent.

    Args:
        logits: (B, 1, H, W).
        small: boxes inside of the objects (B, 4), in pixels of ``logits``.
        big: boxes around them (B, 4).

    Returns:
        (B,), in the units of the logits.
    """
    steps = round(_LARGEST_THRESHOLD / _THRESHOLD_STEP)
    thresholds = torch.arange(-steps, steps + 1, device=logits.device) * _THRESHOLD_STEP
    within = boxes_to_masks(big, logits.shape[-2:])
    scores = logits.masked_fill(~within, -_FAR)
    wanted = (small + big).float() / 2
    overlaps = torch.stack([_overlap(_extent(scores > threshold), wanted) for threshold in thresholds], dim=1)
    at_zero = overlaps[:, steps]
    best, index = overlaps.max(dim=1)
    return torch.where(best > at_zero, thresholds[index], 0.0)


def mask_entropy(logits: torch.Tensor) -> torch.Tensor:
    """
    Mean binary entropy of every mask.

    With a = abs(logit) the entropy of a pixel is ``softplus(-a) + a sigmoid(-a)``, which neither overflows nor takes a
    logarithm of 0. Computed in float32, also under autocast.

    Args:
        logits: (B, 1, H, W).

    Returns:
        (B,), in nats, 0 .. ln 2 = 0.693.

    Raises:
        ValueError: when ``logits`` has another shape.
    """
    if logits.ndim != 4 or logits.shape[1] != 1:
        raise ValueError(f"logits must have shape (B, 1, H, W), got {tuple(logits.shape)}.")
    size = logits.float().abs().clamp(max=_FAR)
    return (F.softplus(-size) + size * torch.sigmoid(-size)).mean(dim=(1, 2, 3))


def _extent(masks: torch.Tensor) -> torch.Tensor:
    """Bounding boxes (B, 4) of rows and columns with two pixels and more; without area where there are none."""
    edges = []
    for axis in (2, 3):  # along rows: which columns; along columns: which rows
        used = masks.sum(dim=axis)[:, 0] > 1
        length = used.shape[1]
        first = used.float().argmax(dim=1)
        last = length - used.flip(1).float().argmax(dim=1)
        some = used.any(dim=1)
        edges.append((torch.where(some, first, 0), torch.where(some, last, 0)))
    (x1, x2), (y1, y2) = edges
    return torch.stack([x1, y1, x2, y2], dim=1).float()


def _overlap(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Intersection over union of boxes (B, 4), pair by pair."""
    sides = (torch.minimum(first[:, 2:], second[:, 2:]) - torch.maximum(first[:, :2], second[:, :2])).clamp(min=0)
    shared = sides.prod(dim=1)
    union = sum((boxes[:, 2:] - boxes[:, :2]).prod(dim=1) for boxes in (first, second)) - shared
    return shared / union.clamp(min=1e-6)


def _require_prior(box_prior: str) -> None:
    if box_prior not in _BOX_PRIORS:
        raise ValueError(f"box_prior must be one of {_BOX_PRIORS}, got {box_prior!r}.")
