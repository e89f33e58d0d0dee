"""The terms of a prototype head's loss: how samples lie to prototypes, and prototypes to each other."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from monai_proto.networks.precision import in_float32

__all__ = ["cluster_loss", "diversity_loss", "prototype_contrastive_loss", "separation_loss"]


@in_float32
def cluster_loss(
    distances: torch.Tensor,
    labels: torch.Tensor,
    prototype_labels: torch.Tensor,
    class_weights: torch.Tensor | None = None,
    sample_weights: torch.Tensor | None = None,
) -> torch.Tensor:
    """
    Distance to the nearest prototype of the own class: ``w_c * mean_i min_j d(x_i, p_j)``, mean over the classes
    present (ProtoPNet, Chen et al., NeurIPS 2019, eq. 3, with the mean over samples taken class by class).

    Args:
        distances: (B, M) of samples to prototypes in use.
        labels: classes (B,) of the samples, integers.
        prototype_labels: classes (M,) of the prototypes.
        class_weights: w (C,); 1 by default.
        sample_weights: factors (B,) of the samples, for instance focal ones; 1 by default.

    Returns:
        scalar; a class that has no prototype takes no part, and 0 when none does.
    """
    nearest, has_own = _nearest(distances, _same_class(labels, prototype_labels))
    terms = nearest if sample_weights is None else nearest * sample_weights
    if class_weights is not None:
        terms = terms * class_weights.to(terms)[labels.long()]
    # every class counts the same: a sample weighs one over the number of samples of its class
    same_class = _same_class(labels, labels) & has_own[None, :]
    shares = torch.where(has_own, 1.0 / same_class.sum(dim=1).clamp(min=1).to(terms), 0.0)
    return (shares * terms).sum() / shares.sum().clamp(min=1)


@in_float32
def separation_loss(
    distances: torch.Tensor, labels: torch.Tensor, prototype_labels: torch.Tensor, margin: float | None
) -> torch.Tensor:
    """
    Nearness to the prototypes of other classes: ``mean_i relu(margin - min_j d(x_i, p_j))``.

    Args:
        distances: (B, M) of samples to prototypes in use.
        labels: classes (B,) of the samples, integers.
        prototype_labels: classes (M,) of the prototypes.
        margin: distance from which on a sample is far enough; None for ProtoPNet's unbounded ``-min_j d(x_i, p_j)``.

    Returns:
        scalar; samples for which there is no prototype of another class take no part, and 0 when none does.
    """
    nearest, has_other = _nearest(distances, ~_same_class(labels, prototype_labels))
    terms = -nearest if margin is None else (margin - nearest).relu()
    return torch.where(has_other, terms, 0.0).sum() / has_other.sum().clamp(min=1)


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


def _same_class(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Bool (A, B) of labels (A,) and (B,)."""
    return first.long()[:, None] == second.long()[None, :]


def _nearest(distances: torch.Tensor, candidates: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Smallest distance (B,) among the candidates (B, M), 0 without any, and which samples have one."""
    exists = candidates.any(dim=1)
    nearest = torch.where(candidates, distances, torch.inf).amin(dim=1)
    return torch.where(exists, nearest, 0.0), exists


def _pairs(prototypes: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Cosine and the two classes of every unordered pair."""
    unit = F.normalize(prototypes, dim=-1)
    i, j = torch.triu_indices(len(unit), len(unit), offset=1, device=unit.device)
    return (unit @ unit.T)[i, j], labels[i], labels[j]


def _mean(values: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    return torch.where(chosen, values, 0.0).sum() / chosen.sum().clamp(min=1)
