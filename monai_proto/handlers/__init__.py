"""Ignite handlers: each reacts to events of an engine."""

from monai_proto.handlers.best_checkpoint_saver import BestCheckpointSaver
from monai_proto.handlers.box_picture_writer import BoxPictureWriter
from monai_proto.handlers.bundle_metadata_writer import BundleMetadataWriter
from monai_proto.handlers.class_metrics_saver import ClassMetricsSaver
from monai_proto.handlers.classification_report_writer import ClassificationReportWriter
from monai_proto.handlers.ema_teacher_handler import EMATeacherHandler
from monai_proto.handlers.epoch_seed_handler import EpochSeedHandler
from monai_proto.handlers.epoch_validation_handler import EpochValidationHandler
from monai_proto.handlers.explanation_figure_writer import ExplanationFigureWriter
from monai_proto.handlers.loss_components import loss_components
from monai_proto.handlers.named_checkpoint_loader import NamedCheckpointLoader, load_named_checkpoint
from monai_proto.handlers.prediction_writer import PredictionWriter
from monai_proto.handlers.prototype_adaptation_handler import PrototypeAdaptationHandler
from monai_proto.handlers.prototype_gallery_writer import PrototypeGalleryWriter
from monai_proto.handlers.prototype_push_handler import PrototypePushHandler
from monai_proto.handlers.prototype_stage_handler import PrototypeStageHandler
from monai_proto.handlers.resume_handler import ResumeHandler
from monai_proto.handlers.trusted_share_handler import TrustedShareHandler

__all__ = [
    "BestCheckpointSaver",
    "BoxPictureWriter",
    "BundleMetadataWriter",
    "ClassMetricsSaver",
    "ClassificationReportWriter",
    "EMATeacherHandler",
    "EpochSeedHandler",
    "EpochValidationHandler",
    "ExplanationFigureWriter",
    "NamedCheckpointLoader",
    "PredictionWriter",
    "PrototypeAdaptationHandler",
    "PrototypeGalleryWriter",
    "PrototypePushHandler",
    "PrototypeStageHandler",
    "ResumeHandler",
    "TrustedShareHandler",
    "load_named_checkpoint",
    "loss_components",
]
