"""Whole networks."""

from monai_proto.networks.nets.adaptable_segmenter import AdaptableSegmenter
from monai_proto.networks.nets.efficientnet_lite import efficientnet_lite0
from monai_proto.networks.nets.load_sam import build_sam, load_sam
from monai_proto.networks.nets.partial_encoder import SplitEncoder, split_encoder
from monai_proto.networks.nets.projected_segmentation_net import ProjectedSegmentationNet, ProjectedSegmentationOutput
from monai_proto.networks.nets.promptable_segmenter import DecodedMasks, PromptableSegmenter
from monai_proto.networks.nets.prototype_classifier import PrototypeClassifier

__all__ = [
    "AdaptableSegmenter",
    "DecodedMasks",
    "ProjectedSegmentationNet",
    "ProjectedSegmentationOutput",
    "PromptableSegmenter",
    "PrototypeClassifier",
    "SplitEncoder",
    "build_sam",
    "efficientnet_lite0",
    "load_sam",
    "split_encoder",
]
