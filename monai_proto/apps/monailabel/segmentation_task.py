"""Automatic segmentation of a volume with a bundle."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from monai_proto.apps.monailabel.bundle_task import BundleTask
from monai_proto.data.bundle_metadata import checkpoint_label_names

__all__ = ["SegmentationTask"]


class SegmentationTask(BundleTask):
    """``BundleTask`` whose labels are those of the weights, which a training on other classes changes."""

    def info(self) -> dict[str, Any]:
        """What clients show; read anew each time."""
        self.labels = self.label_names()
        return super().info()

    def label_names(self) -> dict[str, int]:
        """Name -> value, without the background."""
        names = checkpoint_label_names(self.bundle.models / "model.pt", self.bundle.path)
        return {name: value for value, name in enumerate(names) if value}

    def validation_transforms(self) -> list[Callable]:
        """Those of ``train.json`` for an item with ``image`` and ``label``."""
        file = os.path.join(self.bundle_path, "configs", "train.json")
        config = self._load_bundle_config(self.bundle_path, file)
        return list(config.get_parsed_content("validate#preprocessing", instantiate=True).transforms)

    def __call__(self, request: dict[str, Any], callbacks: Any = None) -> tuple[str | None, dict[str, Any]]:
        """
        Returns:
            label map on the image's own grid, and ``label_names``.

        Raises:
            ValueError: when the image is no volume, or cannot be read.
        """
        self.require_kind(request["image"])
        self.labels = self.label_names()
        return super().__call__(request, callbacks)
