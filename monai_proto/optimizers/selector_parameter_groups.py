"""Parameter groups of semi-supervised training."""

from __future__ import annotations

from typing import Any

from torch import nn

__all__ = ["selector_parameter_groups"]

_SELECTOR_FACTOR = 0.1


def selector_parameter_groups(
    network: nn.Module, contrastive_loss: nn.Module | None, learning_rate: float
) -> list[dict[str, Any]]:
    """
    Parameter groups for Adam or AdamW: the network at the base learning rate, the selectors of the contrastive loss in
    a group of their own at a tenth of it.

    Args:
        network: module to train; parameters without gradient are left out.
        contrastive_loss: a ``MemoryBankContrastiveLoss``; without learned selectors it adds no group.
        learning_rate: of the network.

    Returns:
        one or two groups with ``params``, ``lr`` and ``name``.
    """
    groups = [{"name": "network", "params": [p for p in network.parameters() if p.requires_grad], "lr": learning_rate}]
    selectors = [] if contrastive_loss is None else list(contrastive_loss.parameters())
    if selectors:
        groups.append({"name": "selectors", "params": selectors, "lr": learning_rate * _SELECTOR_FACTOR})
    return groups
