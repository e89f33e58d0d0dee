"""Inferers for MONAI's evaluators."""

from monai_proto.inferers.sliding_window_label_inferer import SlidingWindowLabelInferer

__all__ = ["SlidingWindowLabelInferer"]
