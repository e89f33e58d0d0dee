"""The usual figures of a classifier on a set of cases."""

from __future__ import annotations

from typing import NamedTuple

import torch

from monai_proto.metrics.balanced_accuracy import mean_recall
from monai_proto.metrics.calibration import expected_calibration_error
from monai_proto.metrics.classification_checks import require_probabilities
from monai_proto.metrics.confusion_matrix import confusion_matrix
from monai_proto.metrics.macro_auroc import macro_auroc

__all__ = ["ClassificationSummary", "summarize_classification"]


class ClassificationSummary(NamedTuple):
    """
    Attributes:
        cases: number of cases N.
        accuracy: share of right answers.
        balanced_accuracy: mean recall over the classes that have a case.
        macro_auroc: mean over those classes of the area under the ROC curve against the rest; NaN with one class.
        expected_calibration_error: in 15 bins.
    """

    cases: int
    accuracy: float
    balanced_accuracy: float
    macro_auroc: float
    expected_calibration_error: float


def summarize_classification(probabilities: torch.Tensor, labels: torch.Tensor) -> ClassificationSummary:
    """
    Args:
        probabilities: of the classes (N, C), rows with sum 1.
        labels: true classes (N,).

    Raises:
        ValueError: when there is no case, a shape does not fit, rows do not sum to 1, or a label is outside of the
            classes.
    """
    labels = require_probabilities(probabilities, labels)
    matrix = confusion_matrix(probabilities.argmax(1), labels, probabilities.shape[1])
    several = int((matrix.sum(1) > 0).sum()) > 1
    return ClassificationSummary(
        cases=len(labels),
        accuracy=float(matrix.diagonal().sum() / matrix.sum()),
        balanced_accuracy=mean_recall(matrix),
        macro_auroc=macro_auroc(probabilities, labels) if several else float("nan"),
        expected_calibration_error=expected_calibration_error(probabilities, labels),
    )
