"""A class memory bank that every step fills from the labelled voxels."""

from __future__ import annotations

import torch
from torch import nn

from monai_proto.losses.memory_bank_contrastive_loss import MemoryBankContrastiveLoss
from monai_proto.losses.terms.step import SemiSupervisedStep
from monai_proto.losses.terms.views import LABELLED, View
from monai_proto.networks.blocks.class_memory_bank import ClassMemoryBank
from monai_proto.networks.feature_rows import labels_on_grid, rows_of_map

__all__ = ["LabelledVoxelBank", "predicted_rows"]


class LabelledVoxelBank(nn.Module):
    """
    A :class:`ClassMemoryBank` of the projected features of labelled voxels that are predicted correctly. The terms that
    compare with it ask ``step.get(bank)``: the first one fills it, and all compare with the same rows.

    Args:
        bank: what is filled.
        loss: its selectors, if it has learned ones, rank the rows.
        background: whether class 0 is kept in the bank. The peers leave it out: most voxels are background, and it has
            no single look.
    """

    def __init__(self, bank: ClassMemoryBank, loss: MemoryBankContrastiveLoss, background: bool = False) -> None:
        super().__init__()
        self.bank = bank
        self.loss = loss
        self.background = background

    def forward(self, step: SemiSupervisedStep) -> ClassMemoryBank:
        """Take the step's rows into the bank."""
        output, ignored = step.student(), self.bank.ignore_index
        grid = output.projection.shape[2:]
        labels = labels_on_grid(step.labels, grid)
        predicted = labels_on_grid(output.logits.argmax(dim=1, keepdim=True), grid)
        correct = torch.where(predicted == labels, labels, ignored)
        if not self.background:
            correct = torch.where(correct == 0, ignored, correct)
        projected = rows_of_map(output.projection.detach())
        scores = self.loss.score(projected, correct) if self.loss.use_learned_selector else None
        self.bank.update(projected, correct, scores)
        return self.bank


def predicted_rows(step: SemiSupervisedStep, view: View = LABELLED) -> tuple[torch.Tensor, torch.Tensor]:
    """The predicted features (N, D) of a view, and the classes (N,) of its labels on their grid."""
    prediction = step.student(view).prediction
    return rows_of_map(prediction), labels_on_grid(step.get(view.labels), prediction.shape[2:])
