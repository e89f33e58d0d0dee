"""Whole networks."""

from monai_proto.networks.nets.efficientnet_lite import efficientnet_lite0
from monai_proto.networks.nets.projected_segmentation_net import ProjectedSegmentationNet, ProjectedSegmentationOutput
from monai_proto.networks.nets.prototype_classifier import PrototypeClassifier

__all__ = [
    "ProjectedSegmentationNet",
    "ProjectedSegmentationOutput",
    "PrototypeClassifier",
    "efficientnet_lite0",
]
