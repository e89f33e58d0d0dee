"""Ignite handlers: each reacts to events of an engine."""

from monai_proto.handlers.best_checkpoint_saver import BestCheckpointSaver
from monai_proto.handlers.ema_teacher_handler import EMATeacherHandler
from monai_proto.handlers.epoch_seed_handler import EpochSeedHandler
from monai_proto.handlers.loss_components import loss_components
from monai_proto.handlers.named_checkpoint_loader import NamedCheckpointLoader, load_named_checkpoint
from monai_proto.handlers.prototype_adaptation_handler import PrototypeAdaptationHandler
from monai_proto.handlers.prototype_push_handler import PrototypePushHandler
from monai_proto.handlers.prototype_stage_handler import PrototypeStageHandler
from monai_proto.handlers.resume_handler import ResumeHandler

__all__ = [
    "BestCheckpointSaver",
    "EMATeacherHandler",
    "EpochSeedHandler",
    "NamedCheckpointLoader",
    "PrototypeAdaptationHandler",
    "PrototypePushHandler",
    "PrototypeStageHandler",
    "ResumeHandler",
    "load_named_checkpoint",
    "loss_components",
]
