"""Agreement of the student with the source of the pseudo-labels."""

from __future__ import annotations

from collections.abc import Callable

import torch

from monai_proto.losses.consistency_loss import SoftmaxConsistencyLoss
from monai_proto.losses.terms.step import SemiSupervisedStep
from monai_proto.losses.terms.term import Term
from monai_proto.losses.terms.views import UNLABELLED, UnlabelledView

__all__ = ["ConsistencyTerm"]


class ConsistencyTerm(Term):
    """
    The student's logits on unlabelled images against the teacher's (Tarvainen and Valpola, NeurIPS 2017).

    Args:
        loss: called ``loss(student_logits, source_logits)``; :class:`SoftmaxConsistencyLoss` by default.
        view: what the student sees; the teacher sees the weak view of the same geometry.
        weight, ramped, name: see :class:`Term`.
    """

    def __init__(
        self,
        loss: Callable | None = None,
        view: UnlabelledView = UNLABELLED,
        weight: float = 1.0,
        ramped: bool = True,
        name: str = "consistency",
    ) -> None:
        super().__init__(name, weight, ramped, [view])
        self.view = view
        self.loss = SoftmaxConsistencyLoss() if loss is None else loss

    def forward(self, step: SemiSupervisedStep) -> torch.Tensor:
        return self.loss(step.student(self.view).logits, self.view.source_logits(step))
