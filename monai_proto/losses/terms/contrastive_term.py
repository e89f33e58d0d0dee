"""The contrastive loss between features and the rows of a class memory bank."""

from __future__ import annotations

import torch

from monai_proto.losses.terms.labelled_voxel_bank import LabelledVoxelBank, predicted_rows
from monai_proto.losses.terms.step import SemiSupervisedStep
from monai_proto.losses.terms.term import Term
from monai_proto.losses.terms.views import UNLABELLED, View

__all__ = ["ContrastiveTerm"]


class ContrastiveTerm(Term):
    """
    The memory's :class:`MemoryBankContrastiveLoss` on labelled voxels with their labels, plus the same on the voxels of
    a second view with its pseudo-labels (SS-Net, Wu et al., MICCAI 2022).

    Args:
        memory: bank and loss.
        view: the second view; a :class:`MixedView` or unlabelled images.
        weight, ramped, name: see :class:`Term`.
    """

    learning_rate_factor = 0.1  # of the memory's selectors

    def __init__(
        self,
        memory: LabelledVoxelBank,
        view: View = UNLABELLED,
        weight: float = 0.1,
        ramped: bool = True,
        name: str = "contrastive",
    ) -> None:
        super().__init__(name, weight, ramped, [view])
        self.memory = memory
        self.view = view

    def forward(self, step: SemiSupervisedStep) -> torch.Tensor:
        bank = step.get(self.memory)
        labelled = self.memory.loss(*predicted_rows(step), bank)
        return labelled + self.memory.loss(*predicted_rows(step, self.view), bank)
