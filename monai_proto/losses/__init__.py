"""Losses: pure functions of tensors, and the thin modules around them."""

from monai_proto.losses.class_cosine import class_cosine_sums
from monai_proto.losses.consistency_loss import SoftmaxConsistencyLoss, softmax_consistency_loss
from monai_proto.losses.masked_dice_ce_loss import MaskedDiceCELoss
from monai_proto.losses.memory_bank_contrastive_loss import MemoryBankContrastiveLoss, memory_bank_contrastive_loss
from monai_proto.losses.prototype_terms import inter_class_separation_loss, intra_class_compactness_loss
from monai_proto.losses.pseudo_label import pseudo_labels
from monai_proto.losses.ramp_up import sigmoid_ramp_up
from monai_proto.losses.vat_loss import VATLoss

__all__ = [
    "MaskedDiceCELoss",
    "MemoryBankContrastiveLoss",
    "SoftmaxConsistencyLoss",
    "VATLoss",
    "class_cosine_sums",
    "inter_class_separation_loss",
    "intra_class_compactness_loss",
    "memory_bank_contrastive_loss",
    "pseudo_labels",
    "sigmoid_ramp_up",
    "softmax_consistency_loss",
]
