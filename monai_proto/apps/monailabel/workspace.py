"""The app's own folder: copies of the bundles, so that training in the server never changes those of the checkout."""

from __future__ import annotations

import filecmp
import json
import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monai_proto.data.atomic_write import new_file_atomically, new_folder_atomically

__all__ = [
    "MODEL_NAME",
    "WORKSPACE_NAME",
    "BundleCopy",
    "bundles_for",
    "default_workspace",
    "is_inside",
    "is_web_address",
    "publish_model",
]

WORKSPACE_NAME = "monai_proto_label"
MODEL_NAME = "model.pt"
_PREVIOUS_NAME = "previous.pt"
_KINDS = {
    "ProjectedSegmentationNet": "segmentation",
    "PrototypeClassifier": "classification",
    "AdaptableSegmenter": "promptable",
}


@dataclass(frozen=True)
class BundleCopy:
    """
    A bundle in the workspace.

    Args:
        name: of the bundle's folder.
        path: of the copy.
        kind: ``"segmentation"``, ``"classification"`` or ``"promptable"``.
        volumes: whether it takes volumes; otherwise it takes photographs.
    """

    name: str
    path: Path
    kind: str
    volumes: bool

    @property
    def models(self) -> Path:
        """Folder of the weights."""
        return self.path / "models"

    @property
    def training(self) -> Path:
        """Folder of the last training's files."""
        return self.path / "training"


def is_web_address(studies: str) -> bool:
    """Whether studies are those of a DICOMweb server, not of a folder."""
    return studies.startswith(("http://", "https://"))


def default_workspace(studies: str) -> Path:
    """
    ``monai_proto_label`` in the studies folder; for a DICOMweb server a folder with the name of its address in that of
    the user's data (``$XDG_DATA_HOME``, else ``~/.local/share``).
    """
    if not is_web_address(studies):
        return Path(studies) / WORKSPACE_NAME
    data = Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share").expanduser()
    return data / WORKSPACE_NAME / re.sub(r"[^A-Za-z0-9.-]+", "_", studies.rstrip("/").partition("://")[2])


def bundles_for(bundles_dir: Path, workspace: Path, names: Sequence[str] | None = None) -> dict[str, BundleCopy]:
    """
    Copy bundles into the workspace: configurations anew where they changed, weights only the first time.

    Args:
        bundles_dir: folder of bundles.
        workspace: the app's folder, made when missing.
        names: bundles to take; None for all that the app can serve.

    Raises:
        ValueError: when a bundle does not exist or is of no kind that the app serves.
    """
    found = sorted(path.parents[1].name for path in bundles_dir.glob("*/configs/inference.json"))
    unknown = [name for name in names or () if name not in found]
    if unknown:
        raise ValueError(f"No bundle {', '.join(unknown)} in {bundles_dir}; there are {', '.join(found)}.")
    copies = {}
    for name in names or found:
        source = bundles_dir / name
        config = json.loads((source / "configs" / "inference.json").read_text(encoding="utf-8"))
        kind = _KINDS.get(str(config.get("network_def", {}).get("_target_")).rpartition(".")[2])
        if kind is None:
            if names:
                raise ValueError(f"Bundle {source} has no network that this app knows how to serve.")
            continue
        target = workspace / "model" / name
        _copy_configs(source / "configs", target / "configs")
        if not (target / "models").exists():
            with new_folder_atomically(target / "models") as folder:
                shutil.copytree(source / "models", folder, dirs_exist_ok=True)
        copies[name] = BundleCopy(name, target, kind, _takes_volumes(config))
    return copies


def publish_model(trained: Path, models: Path) -> list[str]:
    """
    Put a training's result in the place of the model that is served; the one before stays as ``previous.pt``.

    The weights come last, each file appears whole, and a server that looks in between finds either model complete.

    Args:
        trained: folder with ``model.pt`` and what belongs to it.
        models: folder that is served.

    Returns:
        names of the files.

    Raises:
        ValueError: when training left no model.
    """
    if not (trained / MODEL_NAME).is_file():
        raise ValueError(f"Training left no {MODEL_NAME} in {trained}.")
    models.mkdir(parents=True, exist_ok=True)
    if (models / MODEL_NAME).is_file():
        _copy_file(models / MODEL_NAME, models / _PREVIOUS_NAME)
    beside = sorted(f.name for f in trained.iterdir() if f.is_file() and f.suffix != ".pt")
    for name in (*beside, MODEL_NAME):
        _copy_file(trained / name, models / name)
    return [*beside, MODEL_NAME]


def _copy_file(source: Path, target: Path) -> None:
    with open(source, "rb") as stream, new_file_atomically(target) as copy:
        shutil.copyfileobj(stream, copy)


def _copy_configs(source: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for file in source.iterdir():
        if file.is_file() and not ((target / file.name).is_file() and filecmp.cmp(file, target / file.name, False)):
            _copy_file(file, target / file.name)


def _takes_volumes(config: dict[str, Any]) -> bool:
    first = config["preprocessing"]["transforms"]
    return any(str(t.get("_target_")).endswith("LoadVolumesd") for t in first)


def is_inside(path: str | os.PathLike, folder: str | os.PathLike) -> bool:
    """Whether a path lies in a folder, links resolved."""
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))
