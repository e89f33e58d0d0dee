"""Blocks that networks and losses are built from."""

from monai_proto.networks.blocks.answer_uncertainty import AbstentionShare
from monai_proto.networks.blocks.class_memory_bank import ClassMemoryBank
from monai_proto.networks.blocks.feature_selector import FeatureSelector
from monai_proto.networks.blocks.mixed_attention_block import MixedAttentionBlock
from monai_proto.networks.blocks.patch_evidence import PatchEvidence
from monai_proto.networks.blocks.pixel_projection_head import PixelProjectionHead
from monai_proto.networks.blocks.projection_head import ProjectionHead
from monai_proto.networks.blocks.prototype_bank import PrototypeBank
from monai_proto.networks.blocks.prototype_head import PrototypeHead, PrototypeHeadOutput
from monai_proto.networks.blocks.prototype_provenance import PrototypeProvenance, ProvenanceRecord
from monai_proto.networks.blocks.prototype_similarity import CosineSimilarity, LogSimilarity, PatchSimilarity

__all__ = [
    "AbstentionShare",
    "ClassMemoryBank",
    "CosineSimilarity",
    "FeatureSelector",
    "LogSimilarity",
    "MixedAttentionBlock",
    "PatchEvidence",
    "PatchSimilarity",
    "PixelProjectionHead",
    "ProjectionHead",
    "PrototypeBank",
    "PrototypeHead",
    "PrototypeHeadOutput",
    "PrototypeProvenance",
    "ProvenanceRecord",
]
