"""Weights that let rare classes count."""

from __future__ import annotations

import torch

__all__ = ["class_balanced_weights", "inverse_root_weights"]


def class_balanced_weights(counts: torch.Tensor, beta: float = 0.9999) -> torch.Tensor:
    """
    ``(1 - b) / (1 - b^n_c)``, the inverse effective number of samples (Cui et al., CVPR 2019, eq. 2).

    Args:
        counts: samples n (C,) of each class.
        beta: b in 0 .. 1, 1 left out.

    Returns:
        (C,), with mean 1 over the classes that have samples; 0 for those without.

    Raises:
        ValueError: when beta is not in [0, 1).
    """
    if not 0 <= beta < 1:
        raise ValueError(f"beta must be in 0 .. 1 without 1, got {beta}.")
    n = counts.double()
    # 1 - b^n by expm1: for b close to 1 the difference would lose its digits
    effective = -torch.expm1(n * torch.log(torch.tensor(max(beta, 1e-300), dtype=torch.float64)))
    return _mean_one((1 - beta) / effective.clamp(min=1e-300), n > 0)


def inverse_root_weights(counts: torch.Tensor, eps: float = 1e-6) -> torch.Tensor:
    """
    ``1 / sqrt(n_c + eps)``, with mean 1 over the classes that have samples; 0 for those without.

    Args:
        counts: samples n (C,) of each class.
        eps: keeps the root away from 0.
    """
    n = counts.double()
    return _mean_one((n + eps).rsqrt(), n > 0)


def _mean_one(weights: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
    weights = torch.where(present, weights, 0.0)
    return (weights * present.sum() / weights.sum().clamp(min=1e-300)).float()
