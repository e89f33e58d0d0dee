"""How the weight of the unsupervised terms grows."""

from __future__ import annotations

import math

__all__ = ["sigmoid_ramp_up"]


def sigmoid_ramp_up(time: float, length: float = 40.0) -> float:
    """
    ``exp(-5 (1 - t/T)^2)``, from 0.0067 at t = 0 to 1 at t = T and after (Laine and Aila, "Temporal Ensembling for
    Semi-Supervised Learning", ICLR 2017).

    Args:
        time: t, in any unit; values below 0 count as 0.
        length: T, in the same unit; 0 means no ramp.

    Raises:
        ValueError: when ``length`` is negative.
    """
    if length < 0:
        raise ValueError(f"length must not be negative, got {length}.")
    if length == 0:
        return 1.0
    return math.exp(-5.0 * (1.0 - min(max(time / length, 0.0), 1.0)) ** 2)
