"""What a training is asked for, checked before anything heavy is imported."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from monai_proto.workflows.overrides import check_overrides

__all__ = ["TrainSettings"]

_MULTI_GPU = "multi_gpu_train.json"
# entries of a configuration that the folder of a run needs to know of
_OPTIONS = {
    "bundle_root": "BUNDLE",
    "ckpt_dir": "--output",
    "dataset_dir": "--data",
    "output_dir": "--output",
    "overwrite": "--overwrite",
    "resume": "--resume",
}


@dataclass
class TrainSettings:
    """
    What ``train`` was asked for.

    Args:
        bundle: folder of the bundle.
        output: folder of the run.
        data: folder of the data; None for phantoms, or, with ``resume``, for that of the run.
        overrides: values of ``train.json`` to change, parts of a key joined by ``#``.
        resume: go on with the run in ``output``.
        overwrite: replace the run in ``output``.
        processes: that train together; they share the threads of this one.
        command: as it was typed, for the record.
        verbose: say which call of MONAI's does the same.
    """

    bundle: Path
    output: Path
    data: str | None = None
    overrides: dict[str, Any] = field(default_factory=dict)
    resume: bool = False
    overwrite: bool = False
    processes: int = 1
    command: list[str] = field(default_factory=lambda: list(sys.argv))
    verbose: bool = False

    def check(self) -> None:
        """
        Raises:
            ValueError: when the bundle cannot be trained, an override does not fit, or there are no such data.
        """
        if self.processes < 1:
            raise ValueError(f"--processes must be at least 1, got {self.processes}.")
        taken = next((name for name in _OPTIONS if name in self.overrides), None)
        if taken:
            raise ValueError(f"--set {taken} would hide from the run what it is: use {_OPTIONS[taken]}.")
        check_overrides(self.files(), self.overrides, "--set {}")
        if self.data is not None and not Path(self.data).exists():
            raise ValueError(f"--data {self.data} does not exist.")

    def files(self) -> list[Path]:
        """
        Configurations, each laid over those before it.

        Raises:
            ValueError: when the bundle has not all of them.
        """
        configs = self.bundle / "configs"
        files = [configs / name for name in ("train.json", *([_MULTI_GPU] if self.processes > 1 else []))]
        missing = [file for file in files if not file.is_file()]
        if missing:
            raise ValueError(f"Bundle {self.bundle} has no configs/{missing[0].name}.")
        return files
