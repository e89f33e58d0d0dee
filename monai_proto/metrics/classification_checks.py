"""Checks of answers, labels and probabilities that the classification metrics share."""

from __future__ import annotations

import torch

from monai_proto.networks.tensor_checks import require_class_labels, require_finite

__all__ = ["require_answers", "require_case_values", "require_probabilities"]

_SUM_TOLERANCE = 1e-3  # a softmax in float32 is off by 1e-6, one that was rounded to four digits by less than this


def require_answers(predictions: torch.Tensor, labels: torch.Tensor, num_classes: int) -> None:
    """
    Raises:
        ValueError: when there is no case, or predictions and labels are not integers (N,) in 0 .. ``num_classes`` - 1.
    """
    if num_classes < 2:
        raise ValueError(f"num_classes must be at least 2, got {num_classes}.")
    if predictions.ndim != 1 or len(predictions) == 0:
        raise ValueError(f"predictions must have shape (N,) with N at least 1, got {tuple(predictions.shape)}.")
    require_class_labels(predictions, num_classes, None, len(predictions), "predictions")
    require_class_labels(labels, num_classes, None, len(predictions), "labels")


def require_probabilities(probabilities: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """
    Returns:
        the labels as int64.

    Raises:
        ValueError: when there is no case, probabilities (N, C) are not between 0 and 1 with sum 1, or labels are not
            integers (N,) in 0 .. C - 1.
    """
    if probabilities.ndim != 2 or probabilities.shape[0] == 0 or probabilities.shape[1] < 2:
        expected = "(N, C) with N at least 1 and C at least 2"
        raise ValueError(f"probabilities must have shape {expected}, got {tuple(probabilities.shape)}.")
    if not probabilities.is_floating_point():
        raise ValueError(f"probabilities must be floating point, got {probabilities.dtype}.")
    require_finite(probabilities, "probabilities")
    lowest, highest = torch.aminmax(probabilities)
    if lowest < 0 or highest > 1 + _SUM_TOLERANCE:
        raise ValueError(f"probabilities must be in 0 .. 1, got values from {float(lowest)} to {float(highest)}.")
    sums = probabilities.double().sum(1)
    worst = int((sums - 1).abs().argmax())
    if abs(float(sums[worst]) - 1) > _SUM_TOLERANCE:
        raise ValueError(f"probabilities must sum to 1 in each row, got {float(sums[worst]):.6g} in row {worst}.")
    return require_class_labels(labels, probabilities.shape[1], None, len(probabilities), "labels")


def require_case_values(values: torch.Tensor, cases: int | None, name: str) -> None:
    """
    Raises:
        ValueError: when there is no case, or ``values`` is not finite and of shape (``cases``,) (None: any number).
    """
    if values.ndim != 1 or len(values) == 0 or cases not in (None, len(values)):
        expected = "(N,) with N at least 1" if cases is None else f"({cases},), one for each case"
        raise ValueError(f"{name} must have shape {expected}, got {tuple(values.shape)}.")
    require_finite(values, name)
