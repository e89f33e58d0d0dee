"""Explanations as data, figures and pages."""

from monai_proto.networks.explanation import Explanation, PrototypeEvidence, evidence_map, explain
from monai_proto.visualize.box_supervision_sheet import BoxPicture, draw_before_after, draw_box_supervision
from monai_proto.visualize.classification_report import write_classification_report
from monai_proto.visualize.explanation_figure import draw_explanation
from monai_proto.visualize.prototype_gallery import draw_prototype_gallery

__all__ = [
    "BoxPicture",
    "Explanation",
    "PrototypeEvidence",
    "draw_before_after",
    "draw_box_supervision",
    "draw_explanation",
    "draw_prototype_gallery",
    "evidence_map",
    "explain",
    "write_classification_report",
]
