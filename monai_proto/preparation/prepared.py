"""What a preparation comes to: its report, and either a data list or what was lacking for one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from monai_proto.preparation.case_report import CaseReport

__all__ = ["Prepared"]


@dataclass(frozen=True)
class Prepared:
    """
    Args:
        report: what became of every case.
        output: folder of the data list; None when nothing was written.
        lacking: what is missing where nothing was written, for instance ``"no usable image"``.
        also_written: what was written elsewhere, in words.
        overrides: what a bundle is to be given beside ``dataset_dir``.
    """

    report: CaseReport
    output: Path | None = None
    lacking: str = ""
    also_written: str = ""
    overrides: Mapping[str, Any] = field(default_factory=dict)
