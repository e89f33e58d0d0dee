"""Virtual adversarial smoothness."""

from __future__ import annotations

import torch

from monai_proto.losses.terms.step import SemiSupervisedStep
from monai_proto.losses.terms.term import Term
from monai_proto.losses.terms.views import UNLABELLED, View
from monai_proto.losses.vat_loss import VATLoss

__all__ = ["VATTerm"]


class VATTerm(Term):
    """
    :class:`VATLoss` on all images that the student sees.

    Args:
        loss: with its lengths and power iterations.
        view: images that the student sees for this term beside the labelled ones.
        weight, ramped, name: see :class:`Term`.
    """

    def __init__(
        self,
        loss: VATLoss | None = None,
        view: View = UNLABELLED,
        weight: float = 1.0,
        ramped: bool = True,
        name: str = "vat",
    ) -> None:
        super().__init__(name, weight, ramped, [view])
        self.loss = VATLoss() if loss is None else loss

    def forward(self, step: SemiSupervisedStep) -> torch.Tensor:
        return self.loss(step.bare_network, step.seen_images, step.seen_output.logits)
