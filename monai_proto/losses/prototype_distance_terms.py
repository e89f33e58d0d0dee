"""How far samples lie from the prototypes of their own class, and of the others."""

from __future__ import annotations

import torch

from monai_proto.networks.precision import in_float32

__all__ = ["cluster_loss", "separation_loss"]


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


def _same_class(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Bool (A, B) of labels (A,) and (B,)."""
    return first.long()[:, None] == second.long()[None, :]


def _nearest(distances: torch.Tensor, candidates: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Smallest distance (B,) among the candidates (B, M), 0 without any, and which samples have one."""
    exists = candidates.any(dim=1)
    nearest = torch.where(candidates, distances, torch.inf).amin(dim=1)
    return torch.where(exists, nearest, 0.0), exists
