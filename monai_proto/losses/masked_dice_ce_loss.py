"""Dice and cross-entropy over the part of an image that a mask selects."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from monai.losses import DiceLoss
from monai.networks.utils import one_hot
from torch import nn

__all__ = ["MaskedDiceCELoss"]


class MaskedDiceCELoss(nn.Module):
    """
    Soft Dice plus cross-entropy of softmax probabilities, both over the selected voxels only.

    MONAI's ``MaskedDiceLoss`` multiplies the logits by the mask before the softmax, which turns voxels outside of it
    into uniform predictions that count; here they take no part. A batch without a selected voxel gives 0.

    Args:
        include_background: whether channel 0 counts in the Dice term.
    """

    def __init__(self, include_background: bool = True) -> None:
        super().__init__()
        self.dice = DiceLoss(include_background=include_background, batch=True)

    def forward(self, logits: torch.Tensor, labels: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """
        Args:
            logits: (B, C, *spatial).
            labels: class of each voxel (B, 1, *spatial), integers in 0 .. C-1 where the mask selects.
            mask: bool (B, 1, *spatial); everything without.

        Returns:
            scalar, float32.
        """
        logits = logits.float()
        if mask is None:
            mask = torch.ones_like(labels, dtype=torch.bool)
        labels = torch.where(mask, labels.long(), 0)
        selected = mask.float()
        one_hot_labels = one_hot(labels, num_classes=logits.shape[1]) * selected
        dice = self.dice(logits.softmax(dim=1) * selected, one_hot_labels)
        voxels = selected.sum()
        cross_entropy = F.cross_entropy(logits, labels.squeeze(1), reduction="none") * selected.squeeze(1)
        return dice + cross_entropy.sum() / voxels.clamp(min=1)
