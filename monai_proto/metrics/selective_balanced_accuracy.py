"""Balanced accuracy of the surest answers."""

from __future__ import annotations

from typing import NamedTuple

import torch

from monai_proto.metrics.balanced_accuracy import mean_recall
from monai_proto.metrics.classification_checks import require_answers, require_case_values
from monai_proto.metrics.confusion_matrix import confusion_matrix

__all__ = ["SelectiveBalancedAccuracy", "selective_balanced_accuracy"]


class SelectiveBalancedAccuracy(NamedTuple):
    """
    Attributes:
        value: balanced accuracy of the cases that are kept.
        kept: how many those are.
        threshold: the highest uncertainty among them.
        vanished_classes: classes that are among the labels and have no case left: ``value`` says nothing of them, and
            is not to be compared with a balanced accuracy that counts them.
    """

    value: float
    kept: int
    threshold: float
    vanished_classes: tuple[int, ...]


def selective_balanced_accuracy(
    predictions: torch.Tensor, labels: torch.Tensor, uncertainty: torch.Tensor, num_classes: int, coverage: float = 0.8
) -> SelectiveBalancedAccuracy:
    """
    Balanced accuracy of the surest ``round(coverage * N)`` cases, at least one. TorchUncertainty's ``RiskAtxCov`` is
    the plain error rate there, and takes ties in the order of a sort.

    Where the threshold falls among cases of equal uncertainty, each of them counts in part, the same for all: the
    result does not depend on the order of the cases.

    Args:
        predictions: answers (N,).
        labels: true classes (N,).
        uncertainty: (N,), higher is less sure.
        num_classes: C.
        coverage: share of the cases to keep, above 0 and up to 1.

    Raises:
        ValueError: when there is no case, the shapes differ, a class is outside of 0 .. C - 1, an uncertainty is not
            finite, or ``coverage`` is not in its range.
    """
    require_answers(predictions, labels, num_classes)
    require_case_values(uncertainty, len(labels), "uncertainty")
    if not 0 < coverage <= 1:
        raise ValueError(f"coverage must be above 0 and at most 1, got {coverage}.")
    kept = max(1, round(coverage * len(labels)))
    threshold = uncertainty.kthvalue(kept).values
    surer, tied = uncertainty < threshold, uncertainty == threshold
    weights = surer.double() + tied.double() * (kept - surer.sum()) / tied.sum()
    matrix = confusion_matrix(predictions, labels, num_classes, weights)
    vanished = (matrix.sum(1) == 0) & (torch.bincount(labels.long(), minlength=num_classes) > 0)
    return SelectiveBalancedAccuracy(
        mean_recall(matrix), kept, float(threshold), tuple(vanished.nonzero().flatten().tolist())
    )
