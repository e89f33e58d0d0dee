"""Intra-class compactness around the means of a class memory bank."""

from __future__ import annotations

import torch

from monai_proto.losses.prototype_terms import intra_class_compactness_loss
from monai_proto.losses.terms.labelled_voxel_bank import LabelledVoxelBank, predicted_rows
from monai_proto.losses.terms.step import SemiSupervisedStep
from monai_proto.losses.terms.term import Term

__all__ = ["CompactnessTerm"]


class CompactnessTerm(Term):
    """
    :func:`intra_class_compactness_loss` of the labelled voxels.

    Args:
        memory: shared with the :class:`ContrastiveTerm`.
        weight, ramped, name: see :class:`Term`.
    """

    learning_rate_factor = 0.1  # of the memory's selectors

    def __init__(
        self, memory: LabelledVoxelBank, weight: float = 0.1, ramped: bool = True, name: str = "compactness"
    ) -> None:
        super().__init__(name, weight, ramped)
        self.memory = memory

    def forward(self, step: SemiSupervisedStep) -> torch.Tensor:
        bank = step.get(self.memory)
        return intra_class_compactness_loss(*predicted_rows(step), bank.class_means(), bank.counts)
