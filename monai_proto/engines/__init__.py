"""Engines: the order of the steps of training and evaluation."""

from monai_proto.engines.adapt_prototypes import AdaptationReport, adapt_prototypes
from monai_proto.engines.box_prompts import BoxPrompts
from monai_proto.engines.classification_trainer import ClassificationTrainer
from monai_proto.engines.embedded_batches import EmbeddedBatches
from monai_proto.engines.prepare_prompt_batch import PreparePromptBatch
from monai_proto.engines.prototype_evaluator import PrototypeEvaluator
from monai_proto.engines.push_prototypes import PushReport, push_prototypes
from monai_proto.engines.semi_supervised_trainer import SemiSupervisedTrainer
from monai_proto.engines.weak_sam_trainer import WeakSamTrainer
from monai_proto.moved_names import moved_names

__all__ = [
    "AdaptationReport",
    "BoxPrompts",
    "ClassificationTrainer",
    "EmbeddedBatches",
    "PreparePromptBatch",
    "PrototypeEvaluator",
    "PushReport",
    "SemiSupervisedTrainer",
    "WeakSamTrainer",
    "adapt_prototypes",
    "push_prototypes",
]

__getattr__ = moved_names(
    __name__,
    {
        "StudyScorer": "monai_proto.active_learning",
        "StudyScores": "monai_proto.active_learning",
        "score_studies": "monai_proto.active_learning",
    },
)
