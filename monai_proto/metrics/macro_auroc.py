"""Area under the ROC curve of every class against the rest."""

from __future__ import annotations

import numpy as np
import torch
from monai.metrics import compute_roc_auc

from monai_proto.metrics.classification_checks import require_probabilities

__all__ = ["class_aurocs", "macro_auroc"]


def class_aurocs(probabilities: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """
    MONAI's ``compute_roc_auc`` of each class against the rest.

    Args:
        probabilities: of the classes (N, C), rows with sum 1.
        labels: true classes (N,).

    Returns:
        (C,), float64; NaN for a class that no case or every case belongs to.

    Raises:
        ValueError: when there is no case, a shape does not fit, rows do not sum to 1, or a label is outside of the
            classes.
    """
    labels = require_probabilities(probabilities, labels)
    areas = torch.full((probabilities.shape[1],), torch.nan, dtype=torch.float64)
    for c in range(probabilities.shape[1]):
        own = (labels == c).long()
        if 0 < own.sum() < len(own):
            areas[c] = float(np.asarray(compute_roc_auc(probabilities[:, c].detach(), own)))
    return areas


def macro_auroc(probabilities: torch.Tensor, labels: torch.Tensor) -> float:
    """
    Mean of :func:`class_aurocs` over the classes that are among the labels. Where one is missing,
    ``compute_roc_auc(average="macro")`` gives NaN and torchmetrics' ``multiclass_auroc`` counts it as 0.
    ``ignite.metrics.EpochMetric(macro_auroc, check_compute_fn=False)`` makes it a metric of an engine.

    Args:
        probabilities: of the classes (N, C), rows with sum 1.
        labels: true classes (N,).

    Raises:
        ValueError: as :func:`class_aurocs`, and when all cases have the same label.
    """
    areas = class_aurocs(probabilities, labels)
    if bool(areas.isnan().all()):
        raise ValueError(f"labels must hold at least two classes, got only class {int(labels[0])}.")
    return float(areas.nanmean())
