"""Adapts a promptable segmenter on the boxes that annotators drew."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from monai_proto.apps.monailabel.box_labels import boxed_items
from monai_proto.apps.monailabel.bundle_training import BundleTraining, held_out
from monai_proto.apps.monailabel.checked_labels import CheckedLabels
from monai_proto.apps.monailabel.request_options import chosen_option

__all__ = ["BoxTraining"]

logger = logging.getLogger(__name__)
_VALIDATION = "monai_proto.handlers.EpochValidationHandler"


class BoxTraining(BundleTraining):
    """
    :class:`BundleTraining` of a SAM bundle on the studies with boxes. Masks are never trained on: of studies that have
    boxes and a final label, ``val_split`` are held out and scored with their masks. Where there are none, the model of
    the last epoch is kept.
    """

    def config(self) -> dict[str, Any]:
        """Options that a client may set."""
        options = super().config()
        if self.bundle.volumes:
            options["modality"] = ["ct", "mr"]
        return options

    def require_studies(self, datastore: CheckedLabels) -> None:
        """
        Raises:
            ValueError: when no study of the bundle's kind has boxes.
        """
        if not self._boxed(datastore):
            kind = "volume" if self.bundle.volumes else "photograph"
            raise ValueError(f'{self.bundle.name} needs at least one {kind} with boxes (tag "boxes"); there is none.')

    def overrides(self, request: Mapping[str, Any], datastore: CheckedLabels) -> tuple[dict[str, Any], dict[str, Any]]:
        """As the class says."""
        boxed = self._boxed(datastore)
        scored = [study for study in boxed if datastore.label_path(study)]
        aside = held_out(scored, float(request.get("val_split", 0.2)))
        parts: dict[str, list] = {"training": [], "validation": [], "test": []}
        for study, file in boxed.items():
            part, mask = ("validation", datastore.label_path(study)) if study in aside else ("training", None)
            parts[part] += boxed_items(study, datastore.image_path(study), file, mask)
        logger.info("Training on %d objects of %d studies", len(parts["training"]), len(boxed) - len(aside))
        changed: dict[str, Any] = {"datalist": parts}
        if self.bundle.volumes:
            changed["modality"] = chosen_option(request.get("modality"), "ct")
        if not aside:
            logger.warning("No study with boxes and a final label is held out: the model of the last epoch is kept.")
            changed["train#handlers"] = self._without_validation()
        remembered = {"boxed": sorted(set(boxed) - aside), "objects": len(parts["training"]), "held_out": sorted(aside)}
        return changed, remembered

    def _boxed(self, datastore: CheckedLabels) -> dict[str, str]:
        return {s: f for s, f in datastore.boxes().items() if datastore.is_volume(s) == self.bundle.volumes}

    def _without_validation(self) -> list[dict[str, Any]]:
        handlers = [h for h in self._defaults["train"]["handlers"] if h["_target_"] != _VALIDATION]
        saved = next(h["save_dict"] for h in self._defaults["validate"]["handlers"] if "save_dict" in h)
        last = {
            "_target_": "CheckpointSaver",
            "save_dir": "@ckpt_dir",
            "save_dict": saved,
            "save_final": True,
            "final_filename": "model.pt",
        }
        return [*handlers, last]
