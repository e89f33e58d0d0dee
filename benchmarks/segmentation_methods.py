"""The methods that the semi-supervised benchmark compares: the terms that each trains with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from monai.losses import DiceCELoss
from torch import nn

from monai_proto.losses import MemoryBankContrastiveLoss
from monai_proto.losses.terms import (
    UNLABELLED,
    CompactnessTerm,
    ConsistencyTerm,
    ContrastiveTerm,
    CopyPasteTerm,
    CrossPseudoTerm,
    LabelledVoxelBank,
    MixedView,
    PrototypeClassifierTerm,
    SeparationTerm,
    SupervisedTerm,
    Term,
    VATTerm,
    View,
    WeakToStrongTerm,
)
from monai_proto.networks.blocks import ClassMemoryBank
from monai_proto.transforms import RandBidirectionalCopyPaste

__all__ = ["ABLATIONS", "COMPARED", "METHODS", "Method", "Problem", "supervised_loss"]

FEATURE_DIM = 32


@dataclass(frozen=True)
class Problem:
    """
    What terms are built for.

    Attributes:
        num_classes: of the data.
        make_network: makes a network with new weights.
    """

    num_classes: int
    make_network: Callable[[], nn.Module]


@dataclass(frozen=True)
class Method:
    """
    Attributes:
        title: name in tables.
        unsupervised_terms: makes the terms beside the supervised one, new for each run.
        unlabelled: whether unlabelled images are used; without them the ordinary supervised step runs.
        all_labelled: whether every training case is labelled: the upper bound.
        strong_views: strongly perturbed views of each unlabelled image.
        options: further arguments of the trainer.
    """

    title: str
    unsupervised_terms: Callable[[Problem], list[Term]] = lambda problem: []
    unlabelled: bool = True
    all_labelled: bool = False
    strong_views: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)

    def terms(self, problem: Problem) -> list[Term]:
        """Terms of ``SemiSupervisedTrainer``."""
        return [SupervisedTerm(supervised_loss()), *self.unsupervised_terms(problem)]


def supervised_loss() -> DiceCELoss:
    """Of all methods on the labelled patches."""
    return DiceCELoss(to_onehot_y=True, softmax=True, batch=True)


def _consistency(problem: Problem, weight: float) -> list[Term]:
    return [ConsistencyTerm(weight=weight)]


def _copy_paste(problem: Problem, ramped: bool = False) -> list[Term]:
    return [CopyPasteTerm(MixedView(RandBidirectionalCopyPaste()), ramped=ramped)]


def _bank(
    problem: Problem,
    view: View = UNLABELLED,
    contrastive: float = 0.1,
    compactness: float = 0.1,
    vat: bool = False,
    **bank: Any,
) -> list[Term]:
    """The terms of a class memory bank with learned selectors, at the weights given, and ``bank`` for its choices."""
    loss = MemoryBankContrastiveLoss(problem.num_classes, FEATURE_DIM, use_learned_selector=True)
    memory = LabelledVoxelBank(ClassMemoryBank(problem.num_classes, FEATURE_DIM, **bank), loss)
    terms = [
        ContrastiveTerm(memory, view, weight=contrastive),
        CompactnessTerm(memory, weight=compactness),
        SeparationTerm(memory),
    ]
    return [*terms, VATTerm(view=view)] if vat else terms


def _ours(problem: Problem, copy_paste_ramped: bool = False, **bank: Any) -> list[Term]:
    mixing = _copy_paste(problem, copy_paste_ramped)
    return [*mixing, *_bank(problem, mixing[0].views[0], **bank)]


def _weak_to_strong(problem: Problem) -> list[Term]:
    return [WeakToStrongTerm()]


def _cross_pseudo(problem: Problem) -> list[Term]:
    return [CrossPseudoTerm(problem.make_network(), supervised_loss())]


def _prototype_classifier(problem: Problem) -> list[Term]:
    mixing = _copy_paste(problem)
    return [*mixing, PrototypeClassifierTerm(problem.num_classes, FEATURE_DIM, view=mixing[0].views[0])]


COMPARED = {
    "supervised": Method("supervised, labelled only", unlabelled=False),
    "mean_teacher": Method("mean teacher", partial(_consistency, weight=10.0)),
    # the peers' terms, weights and choices: lowest-ranked rows, the student's own pseudo-labels, no auxiliary terms
    "ss_net": Method(
        "SS-Net setting (VAT + bank)",
        partial(_bank, selection="lowest", vat=True, compactness=0.0),
        options={"pseudo_label_source": "student"},
    ),
    "ours": Method("ours (copy-paste + bank)", _ours),
    "supervised_all": Method("supervised, all labelled", unlabelled=False, all_labelled=True),
}

# further methods of the library, not run with three seeds
OTHERS = {
    "weak_to_strong": Method(
        "UniMatch setting (weak to strong)",
        _weak_to_strong,
        strong_views=2,
        options={"pseudo_label_source": "student"},
    ),
    "cross_pseudo": Method("cross pseudo supervision", _cross_pseudo, options={"pseudo_label_source": "student"}),
    "prototype_classifier": Method("copy-paste + prototype classifier", _prototype_classifier),
}

# one change each against "ours", but for the first one
ABLATIONS = {
    "weak_mean_teacher": Method("mean teacher, weight 1", partial(_consistency, weight=1.0)),
    "no_bank": Method("ours without the bank", _copy_paste),
    "no_copy_paste": Method("ours without copy-paste", _bank),
    "lowest_rows": Method("ours, lowest-ranked rows", partial(_ours, selection="lowest")),
    "random_rows": Method("ours, random rows", partial(_ours, selection="random")),
    "student_labels": Method("ours, student's pseudo-labels", _ours, options={"pseudo_label_source": "student"}),
    "confidence_floor": Method("ours, confidence floor 0.9", _ours, options={"confidence_floor": 0.9}),
    "with_vat": Method("ours with VAT", partial(_ours, vat=True)),
    "strong_contrast": Method("ours, contrastive weight 1", partial(_ours, contrastive=1.0)),
    "no_auxiliary": Method("ours without auxiliary terms", partial(_ours, compactness=0.0)),
    "ramped": Method("ours, copy-paste ramped up", partial(_ours, copy_paste_ramped=True)),
}

METHODS = {**COMPARED, **OTHERS, **ABLATIONS}
