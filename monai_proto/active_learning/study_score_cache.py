"""Scores of studies in a file, good for one model and for as long as a study does not change."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monai_proto.active_learning.study_score import StudyScore
from monai_proto.data.atomic_write import write_text_atomically

__all__ = ["StudyFailure", "StudyScoreCache", "file_stamp"]

_FORMAT = 1
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class StudyFailure:
    """A study that could not be scored, and why."""

    error: str


class StudyScoreCache:
    """
    Remembers the score, or the failure, of each study with a stamp of its content.

    The file holds the stamp of the model, too: with another model it counts as empty, and so does a file that is
    missing or cannot be read (which is logged). Not for several threads at once: the caller holds a lock.

    Args:
        path: JSON file; its folder is made when it is saved.
        model_stamp: stamp of all that scores depend on besides the study: the hash of the checkpoint, and, where the
            prototypes come from labelled studies, the stamps of those.

    Example::

        cache = StudyScoreCache("scores.json", pooch.file_hash("model.pt"))
        if cache.get("study_1", file_stamp("study_1.nii.gz")) is None:
            cache.put("study_1", file_stamp("study_1.nii.gz"), score)
        cache.save()
    """

    def __init__(self, path: str | os.PathLike, model_stamp: str) -> None:
        self.path = Path(path)
        self.model_stamp = model_stamp
        self._entries: dict[str, tuple[str, StudyScore | StudyFailure]] = self._load()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, study_id: str, stamp: str) -> StudyScore | StudyFailure | None:
        """What is known of a study with this content, or None."""
        known_stamp, result = self._entries.get(study_id, (None, None))
        return result if known_stamp == stamp else None

    def put(self, study_id: str, stamp: str, result: StudyScore | StudyFailure) -> None:
        """Remember a study; what was known of it is forgotten."""
        self._entries[study_id] = (stamp, result)

    def keep_only(self, study_ids: set[str]) -> None:
        """Forget all other studies."""
        self._entries = {study: entry for study, entry in self._entries.items() if study in study_ids}

    def save(self) -> None:
        """Write the file whole or not at all."""
        studies = {study: {"stamp": stamp, **_to_json(result)} for study, (stamp, result) in self._entries.items()}
        content = {"format": _FORMAT, "model": self.model_stamp, "studies": studies}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_text_atomically(self.path, json.dumps(content))

    def _load(self) -> dict[str, tuple[str, StudyScore | StudyFailure]]:
        if not self.path.is_file():
            return {}
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
            if content["format"] != _FORMAT or content["model"] != self.model_stamp:
                return {}
            return {study: (entry["stamp"], _from_json(entry)) for study, entry in content["studies"].items()}
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            _logger.warning("%s cannot be read, all studies are scored anew: %s", self.path, error)
            return {}


def file_stamp(path: str | os.PathLike) -> str:
    """
    Size and time of the last change of a file, or of all files in a folder (a DICOM series).

    Raises:
        ValueError: when there is no such file or folder.
    """
    path = Path(path)
    if not path.exists():
        raise ValueError(f"path {path} does not exist.")
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    digest = hashlib.sha256()
    for file in files:
        state = file.stat()
        name = file.relative_to(path).as_posix()
        digest.update(f"{name} {state.st_size} {state.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _to_json(result: StudyScore | StudyFailure) -> dict[str, Any]:
    return {"error": result.error} if isinstance(result, StudyFailure) else {"score": result.to_json()}


def _from_json(entry: dict[str, Any]) -> StudyScore | StudyFailure:
    return StudyFailure(str(entry["error"])) if "error" in entry else StudyScore.from_json(entry["score"])
