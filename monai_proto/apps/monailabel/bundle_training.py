"""Runs a bundle's training for the app; its model takes the place of the one that is served when it is done."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from monai.bundle import ConfigParser, ConfigWorkflow
from monailabel.interfaces.tasks.train import TrainTask
from monailabel.utils.others.generic import device_list, name_to_device

from monai_proto.apps.monailabel.checked_labels import CheckedLabels
from monai_proto.apps.monailabel.request_options import chosen_option
from monai_proto.apps.monailabel.workspace import MODEL_NAME, BundleCopy, publish_model
from monai_proto.data.atomic_write import write_text_atomically
from monai_proto.data.bundle_metadata import METADATA_NAME, read_metadata

__all__ = ["BundleTraining", "held_out", "loader"]

logger = logging.getLogger(__name__)
_LEAST_TO_HOLD_OUT = 5


class BundleTraining(TrainTask):
    """
    Trains a bundle of the workspace on the datastore.

    The model that is served stays until training has ended well; then the new one takes its place, and the old one
    stays as ``previous.pt``. Files of the last training are in the bundle's ``training`` folder, what it was trained on
    is in ``models/training.json``.

    Args:
        bundle: copy in the workspace.
    """

    def __init__(self, bundle: BundleCopy) -> None:
        metadata = read_metadata(bundle.path / "configs" / METADATA_NAME)
        super().__init__(metadata.get("description", ""))
        self.bundle = bundle
        self.version = metadata.get("version")
        self._defaults = ConfigParser.load_config_file(bundle.path / "configs" / "train.json")

    def is_valid(self) -> bool:
        """Whether clients may ask for it."""
        return True

    def info(self) -> dict[str, Any]:
        """What clients show."""
        return {**super().info(), "version": self.version}

    def config(self) -> dict[str, Any]:
        """Options that a client may set."""
        return {
            "device": device_list(),
            "pretrained": True,
            "max_epochs": self._defaults["max_epochs"],
            "val_split": 0.2,
        }

    def stats(self) -> dict[str, Any]:
        """What the model that is served was trained on; empty for the bundle's own."""
        file = self.bundle.models / "training.json"
        return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}

    @abstractmethod
    def require_studies(self, datastore: CheckedLabels) -> None:
        """
        Raises:
            ValueError: when the datastore has not what a training needs.
        """

    @abstractmethod
    def overrides(self, request: Mapping[str, Any], datastore: CheckedLabels) -> tuple[dict[str, Any], dict[str, Any]]:
        """
        Returns:
            values of ``train.json`` to replace, and what to remember of the studies.
        """

    def __call__(self, request: Mapping[str, Any], datastore: CheckedLabels) -> dict[str, Any]:
        """
        Args:
            request: ``max_epochs``, ``val_split``, ``pretrained``, ``device``.
            datastore: where the studies are.

        Returns:
            what the model was trained on, and its validation metric.

        Raises:
            ValueError: when the datastore has not what a training needs.
        """
        self.require_studies(datastore)
        shutil.rmtree(self.bundle.training, ignore_errors=True)
        output = self.bundle.training
        checkpoints = output / "checkpoints"
        checkpoints.mkdir(parents=True)
        changed, remembered = self.overrides(request, datastore)
        epochs = int(request.get("max_epochs") or self._defaults["max_epochs"])
        if epochs < 1:
            raise ValueError(f"max_epochs must be at least 1, got {epochs}.")
        overrides = {
            "bundle_root": str(self.bundle.path),
            "ckpt_dir": str(checkpoints),
            "output_dir": str(output),
            "device": torch.device(name_to_device(chosen_option(request.get("device"), "cuda"))),
            "max_epochs": epochs,
            "val_interval": min(int(self._defaults["val_interval"]), epochs),
            **changed,
        }
        start = self.bundle.models / MODEL_NAME
        if request.get("pretrained", True) and start.is_file():
            handlers = overrides.get("train#handlers", self._defaults["train"]["handlers"])
            overrides["train#handlers"] = [*self.loaders(str(start)), *handlers]
        metric = self._run(overrides)
        result = {**remembered, "max_epochs": epochs, "metric": metric}
        _require_finite(checkpoints / MODEL_NAME)
        write_text_atomically(checkpoints / "training.json", json.dumps(result, indent=1) + "\n")
        logger.info("Published %s: %s", self.bundle.name, publish_model(checkpoints, self.bundle.models))
        logger.info("Training of %s is done: %s", self.bundle.name, result)
        return result

    def loaders(self, path: str) -> list[dict[str, Any]]:
        """Handlers that let training start from the served model."""
        return [loader(path, "@network")]

    def _run(self, overrides: Mapping[str, Any]) -> float | None:
        configs = self.bundle.path / "configs"
        workflow = ConfigWorkflow(
            config_file=str(configs / "train.json"),
            meta_file=str(configs / "metadata.json"),
            logging_file=False,
            workflow_type="train",
            **{key.replace("#", "::"): value for key, value in overrides.items()},
        )
        workflow.initialize()
        workflow.run()
        state = workflow.parser.get_parsed_content("validate::evaluator").state
        workflow.finalize()
        metric = getattr(state, "best_metric", None)
        return None if metric is None or metric < 0 else round(float(metric), 4)


def held_out(studies: Sequence[str], share: float) -> set[str]:
    """
    Studies put aside for validation: the same ones as more are labelled, and none where there are fewer than five.

    Args:
        studies: names.
        share: of the studies, 0 to below 1.

    Raises:
        ValueError: when the share is out of range.
    """
    if not 0 <= share < 1:
        raise ValueError(f"val_split must be in 0 .. 1, 1 excluded, got {share}.")
    if len(studies) < _LEAST_TO_HOLD_OUT or share == 0:
        return set()
    ranked = sorted(studies, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    return set(ranked[: max(1, round(share * len(ranked)))])


def loader(path: str, target: str) -> dict[str, Any]:
    return {
        "_target_": "monai_proto.handlers.NamedCheckpointLoader",
        "load_path": path,
        "load_dict": {"model": target},
        "map_location": "@device",
    }


def _require_finite(file) -> None:
    weights = torch.load(file, map_location="cpu", weights_only=True)["model"]
    wrong = [name for name, value in weights.items() if value.is_floating_point() and not torch.isfinite(value).all()]
    if wrong:
        raise ValueError(f"Training went wrong: {wrong[0]} is not finite; the model before stays.")
