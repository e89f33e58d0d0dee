"""Blocks that networks and losses are built from."""

from monai_proto.networks.blocks.class_memory_bank import ClassMemoryBank
from monai_proto.networks.blocks.feature_selector import FeatureSelector
from monai_proto.networks.blocks.projection_head import ProjectionHead

__all__ = ["ClassMemoryBank", "FeatureSelector", "ProjectionHead"]
