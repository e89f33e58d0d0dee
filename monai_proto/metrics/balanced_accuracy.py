"""Mean recall over the classes, as a function and as an ignite metric."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from ignite.metrics import ConfusionMatrix
from ignite.metrics.metric import reinit__is_reduced

from monai_proto.metrics.confusion_matrix import confusion_matrix
from monai_proto.networks.tensor_checks import require_class_labels

__all__ = ["BalancedAccuracy", "balanced_accuracy", "mean_recall"]


def mean_recall(matrix: torch.Tensor) -> float:
    """Mean of the recalls of a confusion matrix (C, C) over the classes that have a case; rows are true classes."""
    cases = matrix.sum(1)
    present = cases > 0
    return float((matrix.diagonal()[present].double() / cases[present]).mean())


def balanced_accuracy(predictions: torch.Tensor, labels: torch.Tensor, num_classes: int) -> float:
    """
    Mean recall over the classes that are among the labels, as scikit-learn's ``balanced_accuracy_score``. A class that
    is answered but has no case is recall 0 to torchmetrics' ``multiclass_accuracy(average="macro")``.

    Args:
        predictions: answers (N,).
        labels: true classes (N,).
        num_classes: C.

    Raises:
        ValueError: when there is no case, the shapes differ, or a class is outside of 0 .. C - 1.
    """
    return mean_recall(confusion_matrix(predictions, labels, num_classes))


class BalancedAccuracy(ConfusionMatrix):
    """
    :func:`balanced_accuracy` over an epoch and over all processes, for instance as the key metric of a MONAI evaluator.

    ``ignite.metrics.Recall(average=True)`` and ``cmRecall`` count a class without a case as recall 0, and MONAI's
    ``"balanced accuracy"`` is sensitivity and specificity of one class against the rest.

    Takes ``(y_pred, y)``: class scores (B, C) and labels (B,) or (B, 1), or lists of what decollated items hold.

    Args:
        num_classes: C.
        output_transform: what an engine's output is to ``(y_pred, y)``.
        device: where the counts are kept.

    Raises:
        ValueError: in ``update`` when a label is outside of 0 .. C - 1, or the shapes do not fit.

    Example::

        evaluator = SupervisedEvaluator(
            ..., key_val_metric={"val_balanced_accuracy": BalancedAccuracy(7, from_engine(["pred", "label"]))}
        )
    """

    def __init__(
        self,
        num_classes: int,
        output_transform: Callable = lambda x: x,
        device: str | torch.device = "cpu",
    ) -> None:
        super().__init__(
            num_classes, average=None, output_transform=output_transform, device=device, skip_unrolling=False
        )

    @reinit__is_reduced
    def update(self, output: Sequence[torch.Tensor]) -> None:
        """Count a batch: class scores (B, C) and labels (B,) or (B, 1)."""
        scores, labels = output
        labels = labels.squeeze(1) if labels.ndim == 2 and labels.shape[1] == 1 else labels
        if scores.ndim != 2:
            raise ValueError(f"y_pred must be class scores (B, {self.num_classes}), got {tuple(scores.shape)}.")
        labels = require_class_labels(labels, self.num_classes, None, len(scores), "labels")
        super().update((scores, labels))

    def compute(self) -> float:
        """
        Raises:
            NotComputableError: before the first update.
        """
        return mean_recall(super().compute())
