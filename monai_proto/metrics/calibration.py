"""
How well the probability of the answer tells how often the answer is right.

MONAI has calibration from 1.6 on, for segmentation: ``CalibrationErrorMetric`` bins the probability of every class
against the one-hot label in each image and takes the mean over images and classes, so that the many small
probabilities of the other classes count, too. Its ``calibration_binning``, given the confidence and whether the answer
is right, makes these bins, in float32 (a test compares the two); MONAI 1.5 does not have it.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from monai_proto.metrics.classification_checks import require_probabilities

__all__ = ["ReliabilityCurve", "expected_calibration_error", "reliability_curve"]


class ReliabilityCurve(NamedTuple):
    """
    Answers in bins of equal width by the probability of the answer.

    Attributes:
        confidence: mean probability of the answers in each bin (num_bins,), NaN where there is none.
        accuracy: share of right answers in each bin (num_bins,), NaN where there is none.
        counts: answers in each bin (num_bins,), int64.
    """

    confidence: torch.Tensor
    accuracy: torch.Tensor
    counts: torch.Tensor


def reliability_curve(probabilities: torch.Tensor, labels: torch.Tensor, num_bins: int = 15) -> ReliabilityCurve:
    """
    Confidence and accuracy of the answers (the classes with the highest probability) by bins (Guo et al., "On
    Calibration of Modern Neural Networks", ICML 2017); bin b holds ``b / num_bins < p <= (b + 1) / num_bins``.

    Args:
        probabilities: of the classes (N, C), rows with sum 1.
        labels: true classes (N,).
        num_bins: bins between 0 and 1.

    Raises:
        ValueError: when there is no case, a shape does not fit, rows do not sum to 1, a label is outside of the
            classes, or ``num_bins`` is below 1.
    """
    labels = require_probabilities(probabilities, labels)
    if num_bins < 1:
        raise ValueError(f"num_bins must be at least 1, got {num_bins}.")
    # edges in the type of the probabilities, so that float32 0.2 lies on the edge 0.2 and not above it
    edges = torch.linspace(0, 1, num_bins + 1, dtype=probabilities.dtype, device=probabilities.device)
    confidence, answers = probabilities.max(dim=1)
    bins = torch.bucketize(confidence, edges[1:]).clamp(max=num_bins - 1)
    counts = torch.bincount(bins, minlength=num_bins)
    # 0 / 0 is NaN, as an empty bin should be
    mean_confidence = torch.bincount(bins, weights=confidence.double(), minlength=num_bins) / counts
    accuracy = torch.bincount(bins, weights=(answers == labels).double(), minlength=num_bins) / counts
    return ReliabilityCurve(mean_confidence, accuracy, counts)


def expected_calibration_error(probabilities: torch.Tensor, labels: torch.Tensor, num_bins: int = 15) -> float:
    """
    ECE: mean over the cases of the gap between confidence and accuracy of their bin, see :func:`reliability_curve`.

    Equal to torchmetrics' ``multiclass_calibration_error(norm="l1")`` but for confidences on an edge, which are counted
    in the lower bin here, as in the paper; torchmetrics keeps the bins to itself, and the report draws them.
    ``ignite.metrics.EpochMetric(expected_calibration_error)`` makes it a metric of an engine.

    Args:
        probabilities: of the classes (N, C), rows with sum 1.
        labels: true classes (N,).
        num_bins: bins between 0 and 1.

    Returns:
        0 (calibrated) to 1.

    Raises:
        ValueError: as :func:`reliability_curve`.
    """
    curve = reliability_curve(probabilities, labels, num_bins)
    gaps = (curve.confidence - curve.accuracy).abs().nan_to_num(0.0)
    return float((gaps * curve.counts).sum() / curve.counts.sum())
