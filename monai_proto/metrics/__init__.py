"""Metrics of classifiers that say how sure they are."""

from monai_proto.metrics.balanced_accuracy import BalancedAccuracy, balanced_accuracy
from monai_proto.metrics.calibration import ReliabilityCurve, expected_calibration_error, reliability_curve
from monai_proto.metrics.classification_summary import ClassificationSummary, summarize_classification
from monai_proto.metrics.confusion_matrix import confusion_matrix
from monai_proto.metrics.macro_auroc import class_aurocs, macro_auroc
from monai_proto.metrics.occlusion import hide_patches, occlusion_drops, shifted_region, strongest_patches
from monai_proto.metrics.risk_coverage import (
    area_under_generalized_risk_coverage,
    area_under_risk_coverage,
    risk_coverage_curve,
)
from monai_proto.metrics.selective_balanced_accuracy import SelectiveBalancedAccuracy, selective_balanced_accuracy
from monai_proto.moved_names import moved_names

__all__ = [
    "BalancedAccuracy",
    "ClassificationSummary",
    "ReliabilityCurve",
    "SelectiveBalancedAccuracy",
    "area_under_generalized_risk_coverage",
    "area_under_risk_coverage",
    "balanced_accuracy",
    "class_aurocs",
    "confusion_matrix",
    "expected_calibration_error",
    "hide_patches",
    "macro_auroc",
    "occlusion_drops",
    "reliability_curve",
    "risk_coverage_curve",
    "selective_balanced_accuracy",
    "shifted_region",
    "strongest_patches",
    "summarize_classification",
]

__getattr__ = moved_names(
    __name__,
    {
        "class_feature_means": "monai_proto.active_learning",
        "embedding_distances": "monai_proto.active_learning",
        "foreground_entropy": "monai_proto.active_learning",
        "prototype_distances": "monai_proto.active_learning",
        "relative_prototype_distances": "monai_proto.active_learning",
        "thumbnail_embedding": "monai_proto.active_learning",
    },
)
