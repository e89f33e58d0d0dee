"""Inferers for MONAI's evaluators."""

from monai_proto.inferers.prompt_inferer import PromptInferer
from monai_proto.inferers.sliding_window_label_inferer import SlidingWindowLabelInferer
from monai_proto.inferers.volume_prompt_inferer import VolumePromptInferer

__all__ = ["PromptInferer", "SlidingWindowLabelInferer", "VolumePromptInferer"]
