"""Terms of a promptable segmenter's training: mask, predicted overlap, and distance to a reference's embedding."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from monai.losses import DiceLoss

__all__ = ["bce_dice_loss", "embedding_distillation_loss", "iou_mse_loss", "mask_iou"]

# MONAI's smoothing terms, so that a mask without any pixel has a Dice loss of 0 when none is predicted
_dice_of_each = DiceLoss(reduction="none")


def bce_dice_loss(logits: torch.Tensor, target: torch.Tensor, selected: torch.Tensor | None = None) -> torch.Tensor:
    """
    Binary cross-entropy plus soft Dice. With every pixel selected it is MONAI's ``DiceCELoss(sigmoid=True)``; that one
    takes no selection of pixels.

    Args:
        logits: (B, 1, H, W).
        target: mask (B, 1, H, W), values 0 and 1.
        selected: bool (B, 1, H, W), the pixels that count; all without. Dice is the mean over images that have one.

    Returns:
        scalar, float32; 0 that keeps the graph when no pixel is selected.

    Raises:
        ValueError: when shapes differ.
    """
    _require_same_shape(logits, target, "target")
    logits, target = logits.float(), target.float()
    selected = torch.ones_like(target) if selected is None else selected.expand_as(target).float()
    cross_entropy = F.binary_cross_entropy_with_logits(logits, target, weight=selected, reduction="sum")
    dice = _dice_of_each(logits.sigmoid() * selected, target * selected).flatten(1).mean(dim=1)
    counts = selected.flatten(1).any(dim=1).float()
    return cross_entropy / selected.sum().clamp(min=1) + (dice * counts).sum() / counts.sum().clamp(min=1)


def mask_iou(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """
    Intersection over union of the predicted masks (logit above 0) with the target; 1 where both are empty.

    Args:
        logits: (B, 1, H, W).
        target: mask (B, 1, H, W), true or 1 on the object.

    Returns:
        (B,), float32, without gradient.

    Raises:
        ValueError: when shapes differ.
    """
    _require_same_shape(logits, target, "target")
    predicted, wanted = (logits.detach() > 0).flatten(1), (target.detach() > 0.5).flatten(1)
    union = (predicted | wanted).sum(dim=1)
    return torch.where(union > 0, (predicted & wanted).sum(dim=1) / union.clamp(min=1), 1.0).float()


def iou_mse_loss(
    predicted_iou: torch.Tensor, logits: torch.Tensor, target: torch.Tensor, counted: torch.Tensor | None = None
) -> torch.Tensor:
    """
    Mean squared difference between the overlap that the mask decoder expects and the one that its mask has.

    Args:
        predicted_iou: (B,) or (B, 1).
        logits: (B, 1, H, W); no gradient flows into them.
        target: mask (B, 1, H, W).
        counted: bool (B,), the images that count; all without.

    Returns:
        scalar, float32; 0 that keeps the graph when no image counts.

    Raises:
        ValueError: when shapes do not fit.
    """
    if predicted_iou.numel() != logits.shape[0]:
        raise ValueError(f"predicted_iou must have shape ({logits.shape[0]},), got {tuple(predicted_iou.shape)}.")
    errors = (predicted_iou.float().reshape(-1) - mask_iou(logits, target)).square()
    counted = torch.ones_like(errors) if counted is None else counted.float()
    return (errors * counted).sum() / counted.sum().clamp(min=1)


def embedding_distillation_loss(student: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """
    Mean squared difference of two image embeddings, over all of their elements so that it does not grow with their
    size; the reference's side is detached.

    Args:
        student: (B, D, h, w).
        reference: the same shape, of the model before adaptation.

    Returns:
        scalar, float32.

    Raises:
        ValueError: when shapes differ.
    """
    _require_same_shape(student, reference, "reference")
    return F.mse_loss(student.float(), reference.detach().float())


def _require_same_shape(first: torch.Tensor, second: torch.Tensor, name: str) -> None:
    if first.shape != second.shape:
        raise ValueError(f"{name} must have shape {tuple(first.shape)}, got {tuple(second.shape)}.")
