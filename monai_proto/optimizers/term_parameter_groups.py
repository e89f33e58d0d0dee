"""Parameter groups of semi-supervised training."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import nn

__all__ = ["term_parameter_groups"]


def term_parameter_groups(
    network: nn.Module, terms: Iterable[nn.Module] | nn.Module, learning_rate: float
) -> list[dict[str, Any]]:
    """
    Parameter groups for Adam or AdamW: the network at the base learning rate, and each term's own parameters (such as
    the contrastive loss's selectors, at a tenth) at the fraction of it that the term names.

    Args:
        network: module to train; parameters without gradient are left out, here and in the terms.
        terms: the terms, or their ``WeightedTerms``, which may be wrapped in DistributedDataParallel.
        learning_rate: of the network.

    Returns:
        groups with ``params``, ``lr`` and ``name``: ``"network"``, and the name of every term that has parameters. What
        several terms share is in the group of the first.
    """
    bare: Any = getattr(terms, "module", terms)
    groups: list[dict[str, Any]] = [{"name": "network", "params": _trainable(network), "lr": learning_rate}]
    taken = {id(parameter) for parameter in groups[0]["params"]}
    parts: Iterable[Any] = bare.values() if isinstance(bare, nn.ModuleDict) else bare
    for term in parts:
        own = [parameter for parameter in _trainable(term) if id(parameter) not in taken]
        taken.update(map(id, own))
        if own:
            groups.append({"name": term.name, "params": own, "lr": learning_rate * term.learning_rate_factor})
    return groups


def _trainable(module: nn.Module) -> list[nn.Parameter]:
    return [parameter for parameter in module.parameters() if parameter.requires_grad]
