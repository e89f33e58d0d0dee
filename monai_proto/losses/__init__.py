"""Losses: pure functions of tensors, and the thin modules around them."""

from monai_proto.losses.abstention_loss import abstention_loss
from monai_proto.losses.balanced_assignment import balanced_assignment
from monai_proto.losses.box_prior import apply_box_prior, boxes_to_masks
from monai_proto.losses.box_pseudo_label import BoxPseudoLabel, BoxPseudoLabeler, box_pseudo_label, mask_entropy
from monai_proto.losses.class_cosine import class_cosine_sums
from monai_proto.losses.class_weights import class_balanced_weights, inverse_root_weights
from monai_proto.losses.consistency_loss import SoftmaxConsistencyLoss, softmax_consistency_loss
from monai_proto.losses.contrast_sampling import ContrastSampler, ContrastSamples, sample_contrast_pixels
from monai_proto.losses.masked_dice_ce_loss import MaskedDiceCELoss
from monai_proto.losses.memory_bank_contrastive_loss import MemoryBankContrastiveLoss, memory_bank_contrastive_loss
from monai_proto.losses.pixel_info_nce import PixelInfoNCELoss, pixel_info_nce
from monai_proto.losses.promptable_terms import bce_dice_loss, embedding_distillation_loss, iou_mse_loss, mask_iou
from monai_proto.losses.prototype_head_terms import (
    cluster_loss,
    diversity_loss,
    prototype_contrastive_loss,
    separation_loss,
)
from monai_proto.losses.prototype_loss import PrototypeLoss
from monai_proto.losses.prototype_terms import inter_class_separation_loss, intra_class_compactness_loss
from monai_proto.losses.pseudo_label import pseudo_labels
from monai_proto.losses.ramp_up import sigmoid_ramp_up
from monai_proto.losses.vat_loss import VATLoss
from monai_proto.losses.weak_sam_loss import WeakSamLoss

__all__ = [
    "BoxPseudoLabel",
    "BoxPseudoLabeler",
    "ContrastSampler",
    "ContrastSamples",
    "MaskedDiceCELoss",
    "MemoryBankContrastiveLoss",
    "PixelInfoNCELoss",
    "PrototypeLoss",
    "SoftmaxConsistencyLoss",
    "VATLoss",
    "WeakSamLoss",
    "abstention_loss",
    "apply_box_prior",
    "balanced_assignment",
    "bce_dice_loss",
    "box_pseudo_label",
    "boxes_to_masks",
    "class_balanced_weights",
    "class_cosine_sums",
    "cluster_loss",
    "diversity_loss",
    "embedding_distillation_loss",
    "inter_class_separation_loss",
    "intra_class_compactness_loss",
    "inverse_root_weights",
    "iou_mse_loss",
    "mask_entropy",
    "mask_iou",
    "memory_bank_contrastive_loss",
    "pixel_info_nce",
    "prototype_contrastive_loss",
    "pseudo_labels",
    "sample_contrast_pixels",
    "separation_loss",
    "sigmoid_ramp_up",
    "softmax_consistency_loss",
]
