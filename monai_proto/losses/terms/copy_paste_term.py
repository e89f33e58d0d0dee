"""Supervision on images that are mixed from labelled and unlabelled ones."""

from __future__ import annotations

import torch

from monai_proto.losses.masked_dice_ce_loss import MaskedDiceCELoss
from monai_proto.losses.terms.step import SemiSupervisedStep
from monai_proto.losses.terms.term import Term
from monai_proto.losses.terms.views import MixedView

__all__ = ["CopyPasteTerm"]


class CopyPasteTerm(Term):
    """
    Dice and cross-entropy on mixed images (Bai et al., CVPR 2023): true labels where a voxel comes from a labelled
    image, pseudo-labels elsewhere.

    Args:
        view: the mixed images.
        pseudo_label_weight: weight of the pseudo-labelled voxels; those with true labels have 1.
        weight, ramped, name: see :class:`Term`. It holds true labels, and so counts fully from the start by default.
    """

    def __init__(
        self,
        view: MixedView,
        pseudo_label_weight: float = 0.5,
        weight: float = 1.0,
        ramped: bool = False,
        name: str = "copy_paste",
    ) -> None:
        super().__init__(name, weight, ramped, [view])
        self.view = view
        self.pseudo_label_weight = pseudo_label_weight
        self.loss = MaskedDiceCELoss()

    def forward(self, step: SemiSupervisedStep) -> torch.Tensor:
        _, labels, from_labelled = step.get(self.view.mix)
        logits = step.student(self.view).logits
        true = self.loss(logits, labels, from_labelled)
        return true + self.pseudo_label_weight * self.loss(logits, labels, ~from_labelled & (labels >= 0))
