"""Whole networks."""

from monai_proto.networks.nets.projected_segmentation_net import ProjectedSegmentationNet, ProjectedSegmentationOutput

__all__ = ["ProjectedSegmentationNet", "ProjectedSegmentationOutput"]
