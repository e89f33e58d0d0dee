"""The folder of a run: what lies where, and whether a new run may be written into it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from monai_proto.data.atomic_write import write_text_atomically

__all__ = ["RECORD_NAME", "RunFolder", "is_run"]

RECORD_NAME = "run.json"


class RunFolder:
    """
    Names of what a run writes; see ``docs/runs.md``.

    Args:
        path: the folder; it need not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.record_file = self.path / RECORD_NAME
        self.configs = self.path / "config"
        self.log = self.path / "train.log"
        self.history = self.path / "history.csv"
        self.curves = self.path / "curves.png"
        self.overlays = self.path / "overlays.png"
        self.metrics = self.path / "metrics.csv"
        self.model = self.path / "model.pt"
        self.last = self.path / "last.pt"
        self.summary = self.path / "summary.md"
        self.bundle_output = self.path / "bundle_output"
        self.evaluation = self.path / "evaluation"

    def open_for_training(self, resume: bool, overwrite: bool) -> dict[str, Any] | None:
        """
        Make the folder ready for a run.

        Args:
            resume: go on with the run that is there.
            overwrite: remove the run that is there.

        Returns:
            record of the run to go on with, None for a new one.

        Raises:
            ValueError: when there is a run and neither is asked for, there is none to go on with, or the folder holds
                something else.
        """
        if resume and overwrite:
            raise ValueError("--resume and --overwrite exclude each other.")
        if resume:
            if not is_run(self.path) or not self.last.is_file():
                raise ValueError(f"--resume: {self.path} holds no run with a last.pt to go on from.")
            return self.read_record()
        if self.path.exists() and not self.path.is_dir():
            raise ValueError(f"--output {self.path} is a file: name a new folder.")
        # a run that was refused before it began leaves its log, and nothing else
        there = [file for file in self.path.iterdir() if file != self.log] if self.path.is_dir() else []
        if there and not is_run(self.path):
            raise ValueError(f"--output {self.path} is not empty and holds no run: name a new folder.")
        if there and not overwrite:
            raise ValueError(
                f"--output {self.path} holds a run: --resume goes on with it, --overwrite replaces it, or name a new "
                "folder."
            )
        for file in there:
            shutil.rmtree(file) if file.is_dir() and not file.is_symlink() else file.unlink()
        self.path.mkdir(parents=True, exist_ok=True)
        self.log.unlink(missing_ok=True)
        return None

    def read_record(self) -> dict[str, Any]:
        """
        Raises:
            ValueError: when the folder holds no run, or its record cannot be read.
        """
        try:
            record = json.loads(self.record_file.read_text(encoding="utf-8"))
        except OSError as error:
            raise ValueError(f"{self.path} holds no run: {RECORD_NAME} cannot be read.") from error
        except ValueError as error:
            raise ValueError(f"{self.record_file} is not valid JSON: {error}.") from error
        if not isinstance(record, dict) or not {"bundle", "data", "overrides"} <= record.keys():
            raise ValueError(f"{self.record_file} is not the record of a run.")
        return record

    def write_record(self, record: dict[str, Any]) -> None:
        """Write ``run.json``."""
        write_text_atomically(self.record_file, json.dumps(record, indent=1, ensure_ascii=False) + "\n")


def is_run(path: str | Path) -> bool:
    """Whether a folder holds a run."""
    return (Path(path) / RECORD_NAME).is_file()
