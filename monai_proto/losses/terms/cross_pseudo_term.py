"""Cross pseudo supervision: two networks label the images for each other."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from monai.losses import DiceCELoss
from torch import nn

from monai_proto.losses.terms.step import SemiSupervisedStep
from monai_proto.losses.terms.term import Term
from monai_proto.losses.terms.views import LABELLED, UNLABELLED, UnlabelledView

__all__ = ["CrossPseudoTerm", "cross_pseudo_loss"]


def cross_pseudo_loss(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """
    Cross-entropy of either network's logits (B, C, *spatial) with the classes that the other one finds; a scalar.
    """
    first, second = first.float(), second.float()
    return F.cross_entropy(first, second.argmax(dim=1)) + F.cross_entropy(second, first.argmax(dim=1))


class CrossPseudoTerm(Term):
    """
    Chen et al., "Semi-Supervised Semantic Segmentation with Cross Pseudo Supervision", CVPR 2021, eq. 1-4: a second
    network of the same architecture and with other initial weights learns beside the student. Either is taught by the
    other's hard labels, on labelled and unlabelled images; the second one by the labels, too (the student's own
    supervision is the :class:`SupervisedTerm`'s).

    Args:
        network: the second network, called ``network(images)``; trained at the student's learning rate.
        supervised_loss: of the second network, called ``loss(logits, labels)``; Dice plus cross-entropy by default.
        cross_weight: weight of the two cross-entropies, beside the second network's supervision of weight 1.
        view: the unlabelled images.
        weight, name: see :class:`Term`. The cross-entropies are ramped up inside of the term, the supervision is not.
    """

    def __init__(
        self,
        network: nn.Module,
        supervised_loss: Callable | None = None,
        cross_weight: float = 1.5,
        view: UnlabelledView = UNLABELLED,
        weight: float = 1.0,
        name: str = "cross_pseudo",
    ) -> None:
        super().__init__(name, weight, ramped=False, views=[view])
        self.network = network
        self.supervised_loss = supervised_loss or DiceCELoss(to_onehot_y=True, softmax=True)
        self.cross_weight = cross_weight
        self.view = view

    def forward(self, step: SemiSupervisedStep) -> torch.Tensor:
        second = self.network(torch.cat([step.images, step.get(self.view.images)]))
        first = torch.cat([step.student(view).logits for view in (LABELLED, self.view)])
        supervised = self.supervised_loss(second[: len(step.images)], step.labels)
        return supervised + step.ramp * self.cross_weight * cross_pseudo_loss(first, second)
