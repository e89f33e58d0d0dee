"""How prototypes lie to each other: different within a class, apart between classes."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from monai_proto.networks.precision import in_float32

__all__ = ["diversity_loss", "prototype_contrastive_loss"]


@in_float32
def diversity_loss(prototypes: torch.Tensor, prototype_labels: torch.Tensor, threshold: float = 0.5) -> torch.Tensor:
    """
    Likeness within a class: ``mean relu(cos(p_i, p_j) - threshold)`` over pairs of the same class.

    Args:
        prototypes: (M, D), in use, of any length.
        prototype_labels: classes (M,).
        threshold: cosine from which on two prototypes are too alike.

    Returns:
        scalar; 0 without such a pair.
    """
    cosines, first, second = _pairs(prototypes, prototype_labels)
    return _mean((cosines - threshold).relu(), first == second)


@in_float32
def prototype_contrastive_loss(prototypes: torch.Tensor, prototype_labels: torch.Tensor) -> torch.Tensor:
    """
    Likeness between classes: mean cosine over pairs of *different* classes. Pairs of one class are left alone: how
    alike those may be is for :func:`diversity_loss` to say.

    Args:
        prototypes: (M, D), in use, of any length.
        prototype_labels: classes (M,).

    Returns:
        scalar in -1 .. 1; 0 without such a pair.
    """
    cosines, first, second = _pairs(prototypes, prototype_labels)
    return _mean(cosines, first != second)


def _pairs(prototypes: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Cosine and the two classes of every unordered pair."""
    unit = F.normalize(prototypes, dim=-1)
    i, j = torch.triu_indices(len(unit), len(unit), offset=1, device=unit.device)
    return (unit @ unit.T)[i, j], labels[i], labels[j]


def _mean(values: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    return torch.where(chosen, values, 0.0).sum() / chosen.sum().clamp(min=1)
