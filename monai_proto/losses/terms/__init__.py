"""Terms of semi-supervised training, one a file, what they look at, and their weighted sum."""

from monai_proto.losses.terms.compactness_term import CompactnessTerm
from monai_proto.losses.terms.consistency_term import ConsistencyTerm
from monai_proto.losses.terms.contrastive_term import ContrastiveTerm
from monai_proto.losses.terms.copy_paste_term import CopyPasteTerm
from monai_proto.losses.terms.cross_pseudo_term import CrossPseudoTerm
from monai_proto.losses.terms.labelled_voxel_bank import LabelledVoxelBank
from monai_proto.losses.terms.prototype_classifier_term import PrototypeClassifierTerm
from monai_proto.losses.terms.separation_term import SeparationTerm
from monai_proto.losses.terms.step import SemiSupervisedStep
from monai_proto.losses.terms.supervised_term import SupervisedTerm
from monai_proto.losses.terms.term import Term
from monai_proto.losses.terms.vat_term import VATTerm
from monai_proto.losses.terms.views import LABELLED, UNLABELLED, LabelledView, MixedView, UnlabelledView, View
from monai_proto.losses.terms.weak_to_strong_term import WeakToStrongTerm
from monai_proto.losses.terms.weighted_terms import WeightedTerms

__all__ = [
    "LABELLED",
    "UNLABELLED",
    "CompactnessTerm",
    "ConsistencyTerm",
    "ContrastiveTerm",
    "CopyPasteTerm",
    "CrossPseudoTerm",
    "LabelledView",
    "LabelledVoxelBank",
    "MixedView",
    "PrototypeClassifierTerm",
    "SemiSupervisedStep",
    "SeparationTerm",
    "SupervisedTerm",
    "Term",
    "UnlabelledView",
    "VATTerm",
    "View",
    "WeakToStrongTerm",
    "WeightedTerms",
]
