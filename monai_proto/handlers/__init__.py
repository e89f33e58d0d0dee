"""Ignite handlers: each reacts to events of an engine."""

from monai_proto.handlers.ema_teacher_handler import EMATeacherHandler

__all__ = ["EMATeacherHandler"]
