"""The methods that the semi-supervised benchmark compares: which parts each gives to the trainer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from monai_proto.losses import MemoryBankContrastiveLoss, SoftmaxConsistencyLoss, VATLoss
from monai_proto.networks.blocks import ClassMemoryBank
from monai_proto.transforms import RandBidirectionalCopyPaste

__all__ = ["ABLATIONS", "COMPARED", "METHODS", "Method"]

FEATURE_DIM = 32


@dataclass(frozen=True)
class Method:
    """
    Attributes:
        title: name in tables.
        unlabelled: whether unlabelled images are used; without them the ordinary supervised step runs.
        all_labelled: whether every training case is labelled: the upper bound.
        bank: arguments of the bank, or None for no bank.
        vat, consistency, copy_paste: whether the trainer gets that part.
        options: further arguments of the trainer.
    """

    title: str
    unlabelled: bool = True
    all_labelled: bool = False
    bank: dict[str, Any] | None = None
    vat: bool = False
    consistency: bool = False
    copy_paste: bool = False
    options: dict[str, Any] = field(default_factory=dict)

    def trainer_parts(self, num_classes: int) -> dict[str, Any]:
        """Arguments of ``SemiSupervisedTrainer``; the modules are new for each run."""
        parts: dict[str, Any] = dict(self.options)
        if self.bank is not None:
            parts["bank"] = ClassMemoryBank(num_classes, FEATURE_DIM, **self.bank)
            parts["contrastive_loss"] = MemoryBankContrastiveLoss(num_classes, FEATURE_DIM, use_learned_selector=True)
        if self.vat:
            parts["vat_loss"] = VATLoss()
        if self.consistency:
            parts["consistency_loss"] = SoftmaxConsistencyLoss()
        if self.copy_paste:
            parts["copy_paste"] = RandBidirectionalCopyPaste()
        return parts


_OURS = {"bank": {}, "copy_paste": True}

COMPARED = {
    "supervised": Method("supervised, labelled only", unlabelled=False),
    "mean_teacher": Method("mean teacher", consistency=True, options={"consistency_weight": 10.0}),
    # the peers' terms, weights and choices: lowest-ranked rows, the student's own pseudo-labels, no auxiliary terms
    "ss_net": Method(
        "SS-Net setting (VAT + bank)",
        bank={"selection": "lowest"},
        vat=True,
        options={"pseudo_label_source": "student", "compactness_weight": 0.0, "separation_weight": 0.0},
    ),
    "ours": Method("ours (copy-paste + bank)", **_OURS),
    "supervised_all": Method("supervised, all labelled", unlabelled=False, all_labelled=True),
}

# one change each against "ours", but for the first one
ABLATIONS = {
    "weak_mean_teacher": Method("mean teacher, weight 1", consistency=True, options={"consistency_weight": 1.0}),
    "no_bank": Method("ours without the bank", copy_paste=True),
    "no_copy_paste": Method("ours without copy-paste", bank={}),
    "lowest_rows": Method("ours, lowest-ranked rows", bank={"selection": "lowest"}, copy_paste=True),
    "random_rows": Method("ours, random rows", bank={"selection": "random"}, copy_paste=True),
    "student_labels": Method("ours, student's pseudo-labels", **_OURS, options={"pseudo_label_source": "student"}),
    "confidence_floor": Method("ours, confidence floor 0.9", **_OURS, options={"confidence_floor": 0.9}),
    "with_vat": Method("ours with VAT", **_OURS, vat=True),
    "strong_contrast": Method("ours, contrastive weight 1", **_OURS, options={"contrastive_weight": 1.0}),
    "no_auxiliary": Method(
        "ours without auxiliary terms", **_OURS, options={"compactness_weight": 0.0, "separation_weight": 0.0}
    ),
    "ramped": Method("ours, copy-paste ramped up", **_OURS, options={"copy_paste_ramp": True}),
}

METHODS = {**COMPARED, **ABLATIONS}
