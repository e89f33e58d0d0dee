"""How often each class was taken for each other one."""

from __future__ import annotations

import torch

from monai_proto.metrics.classification_checks import require_answers, require_case_values

__all__ = ["confusion_matrix"]


def confusion_matrix(
    predictions: torch.Tensor, labels: torch.Tensor, num_classes: int, weights: torch.Tensor | None = None
) -> torch.Tensor:
    """
    The counts of ``ignite.metrics.ConfusionMatrix``, which synchronises processes and leaves labels outside of the
    classes out without a word, for tensors at hand and with weights, which torchmetrics has none of either.

    Args:
        predictions: answers (N,).
        labels: true classes (N,).
        num_classes: C.
        weights: how much each case counts (N,); 1 where there are none.

    Returns:
        (C, C), rows are true classes and columns answers; int64, or float64 with weights.

    Raises:
        ValueError: when there is no case, the shapes differ, or a class is outside of 0 .. C - 1.
    """
    require_answers(predictions, labels, num_classes)
    if weights is not None:
        require_case_values(weights, len(labels), "weights")
    cells = labels.long() * num_classes + predictions.long()
    counts = torch.bincount(cells, None if weights is None else weights.double(), num_classes**2)
    return counts.reshape(num_classes, num_classes)
