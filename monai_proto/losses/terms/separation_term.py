"""Inter-class separation of the means of a class memory bank."""

from __future__ import annotations

import torch

from monai_proto.losses.prototype_terms import inter_class_separation_loss
from monai_proto.losses.terms.labelled_voxel_bank import LabelledVoxelBank
from monai_proto.losses.terms.step import SemiSupervisedStep
from monai_proto.losses.terms.term import Term

__all__ = ["SeparationTerm"]


class SeparationTerm(Term):
    """
    :func:`inter_class_separation_loss` of the bank, to watch the embedding: the bank holds detached rows, so that it
    has no gradient, whatever its weight. Monitored by default.

    Args:
        memory: shared with the :class:`ContrastiveTerm`.
        weight, ramped, name: see :class:`Term`.
    """

    learning_rate_factor = 0.1  # of the memory's selectors

    def __init__(
        self, memory: LabelledVoxelBank, weight: float = 0.0, ramped: bool = True, name: str = "separation"
    ) -> None:
        super().__init__(name, weight, ramped)
        self.memory = memory

    def forward(self, step: SemiSupervisedStep) -> torch.Tensor:
        bank = step.get(self.memory)
        return inter_class_separation_loss(bank.class_means(), bank.counts)
