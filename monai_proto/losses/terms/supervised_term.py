"""The supervised loss on the labelled images."""

from __future__ import annotations

from collections.abc import Callable

import torch
from monai.losses import DiceCELoss

from monai_proto.losses.terms.step import SemiSupervisedStep
from monai_proto.losses.terms.term import Term

__all__ = ["SupervisedTerm"]


class SupervisedTerm(Term):
    """
    Args:
        loss: called ``loss(logits, labels (B, 1, *spatial))``; Dice plus cross-entropy by default.
        weight, ramped, name: see :class:`Term`.
    """

    def __init__(
        self, loss: Callable | None = None, weight: float = 1.0, ramped: bool = False, name: str = "supervised"
    ) -> None:
        super().__init__(name, weight, ramped)
        self.loss = DiceCELoss(to_onehot_y=True, softmax=True) if loss is None else loss

    def forward(self, step: SemiSupervisedStep) -> torch.Tensor:
        return self.loss(step.student().logits, step.labels)
