"""Terms by their names, and their weighted sum."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import torch
from torch import nn

from monai_proto.losses.terms.step import SemiSupervisedStep
from monai_proto.losses.terms.term import Term
from monai_proto.losses.terms.views import View

__all__ = ["WeightedTerms"]


class WeightedTerms(nn.ModuleDict):
    """
    The terms of a training as one module, name -> term, in the order in which they are computed: one thing to move to a
    device, to save, to give to the optimiser and to wrap in DistributedDataParallel (with ``find_unused_parameters``,
    as a term may look at its parameters in some steps only). A module that several terms share is in ``state_dict``
    under each of them, and in a checkpoint's file once.

    Args:
        terms: with different names.

    Raises:
        ValueError: when there is none, one is no :class:`Term`, or two have the same name.
    """

    def __init__(self, terms: Iterable[Term]) -> None:
        super().__init__()
        for term in terms:
            if not isinstance(term, Term):
                raise ValueError(f"terms must be monai_proto.losses.terms.Term, got {type(term).__name__}.")
            if term.name in self:
                raise ValueError(f"terms must have different names, got {term.name!r} twice.")
            self[term.name] = term
        if not len(self):
            raise ValueError("terms must hold at least one term.")

    @property
    def views(self) -> tuple[View, ...]:
        """The views that the terms look at, each one once."""
        return tuple(dict.fromkeys(view for term in self.values() for view in cast(Term, term).views))

    def forward(self, step: SemiSupervisedStep) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """
        Args:
            step: what the terms look at.

        Returns:
            the total ``sum(ramp * weight * value)``, where the ramp is that of the step for terms that are ramped and 1
            for the others, and each term's value, detached.
        """
        total: torch.Tensor | None = None
        values: dict[str, torch.Tensor] = {}
        for name, module in self.items():
            term = cast(Term, module)
            value = term(step)
            values[name] = value.detach()
            weighted = (step.ramp if term.ramped else 1.0) * term.weight * value
            total = weighted if total is None else total + weighted
        assert total is not None  # there is at least one term
        return total, values
