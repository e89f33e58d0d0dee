"""What every term of semi-supervised training has."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from monai_proto.losses.terms.step import SemiSupervisedStep
from monai_proto.losses.terms.views import View

__all__ = ["Term"]


class Term(nn.Module):
    """
    One summand of the loss of :class:`SemiSupervisedTrainer`: a method is a subclass with a ``forward``.

    What a term keeps from step to step are parameters, buffers and modules of its own: moving to a device,
    ``state_dict``, the optimiser's groups and exact resume find them there.

    Args:
        name: of the term; its value is ``loss_<name>`` in the trainer's output.
        weight: in the total. A term of weight 0 is monitored: its value is recorded and moves nothing.
        ramped: whether the weight grows with the trainer's ramp-up.
        views: the unlabelled or mixed images that the student must see for this term; each one goes through the student
            once in a step, whoever looks at it. The labelled images always do.

    Attributes:
        learning_rate_factor: learning rate of the term's own parameters as a fraction of the network's, see
            ``term_parameter_groups``.
    """

    learning_rate_factor: float = 1.0

    def __init__(self, name: str, weight: float = 1.0, ramped: bool = True, views: Iterable[View] = ()) -> None:
        super().__init__()
        self.name = name
        self.weight = weight
        self.ramped = ramped
        self.views = tuple(views)

    def forward(self, step: SemiSupervisedStep) -> torch.Tensor:
        """
        Args:
            step: what there is to look at.

        Returns:
            scalar, without the weight.
        """
        raise NotImplementedError(f"{type(self).__name__} must define forward(step).")

    def extra_repr(self) -> str:
        return f"name={self.name!r}, weight={self.weight}, ramped={self.ramped}"
