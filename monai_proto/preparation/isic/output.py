"""Writes a divided dermoscopy data set and its report: a new folder, or lists in the source folder itself."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.progress import track

from monai_proto.data.atomic_write import new_folder_atomically, require_new_folder
from monai_proto.data.classification_datalist import CLASSIFICATION_TASK, write_classification_datalist
from monai_proto.data.datalist import DATALIST_NAME
from monai_proto.preparation.case_report import CaseReport
from monai_proto.preparation.isic.case import IsicCase, IsicSource
from monai_proto.preparation.isic.division import IsicDivision
from monai_proto.preparation.volumes.output import PREPARED_BY, transfer_file

__all__ = ["Transfer", "report_isic_cases", "require_isic_output", "write_isic_dataset"]

Transfer = Literal["copy", "link", "none"]


def report_isic_cases(source: IsicSource, division: IsicDivision, name: str) -> CaseReport:
    """What became of every image of ``source``: part by part, then those that were left out."""
    report = CaseReport(name)
    for part, cases in division.parts().items():
        for case in cases:
            report.include(case.case, part, case.files, case.notes)
    for case in source.cases:
        if case.problems:
            report.exclude(case.case, case.files, case.problems + case.notes)
    for remark in source.remarks + division.remarks:
        report.remark(remark)
    return report


def write_isic_dataset(
    source: IsicSource,
    division: IsicDivision,
    report: CaseReport,
    output: str | os.PathLike,
    transfer: Transfer = "copy",
    console: Console | None = None,
) -> None:
    """
    Write ``dataset.json``, ``report.csv`` and ``summary.txt``, and bring the files of included images beside them.

    Args:
        source: where the files lie.
        division: which image goes where.
        report: the report to write.
        output: new folder, which appears when it is complete; or the source folder itself, whose files stay as they
            are.
        transfer: ``"copy"``; ``"link"`` makes hard links, or copies where the file system has none; ``"none"`` leaves
            the files where they are and lists absolute paths. Without meaning where ``output`` is the source.
        console: where a progress bar is shown; None for nowhere.

    Raises:
        ValueError: see :func:`require_isic_output`.
    """
    output = Path(output)
    require_isic_output(source.root, output)
    in_place = _is_same_folder(source.root, output)
    absolute = transfer == "none" and not in_place
    properties = {
        "name": report.title,
        "description": f"Prepared from {source.root.name} ({source.layout}) by data_scripts/prepare_isic.py",
        "labels": {str(index): name for index, name in enumerate(source.classes)},
        "preparedBy": PREPARED_BY,
    }
    base = source.root.absolute() if absolute else Path()
    items = {part: _items(cases, source.classes, base) for part, cases in division.parts().items()}
    with nullcontext(output) if in_place else new_folder_atomically(output) as target:
        if not in_place and not absolute:
            files = [file for cases in division.parts().values() for case in cases for file in case.files]
            for file in track(files, "Writing files", console=console, disable=console is None):
                transfer_file(source.root / file, target / file, transfer)
        report.write(target)
        write_classification_datalist(target, properties, **items)


def require_isic_output(root: Path, output: str | os.PathLike) -> None:
    """
    Check the place of the output, for a script that would otherwise find out after minutes of reading.

    Args:
        root: the source folder.
        output: where the data list is going to be.

    Raises:
        ValueError: when ``output`` is another folder than the source and not empty, or holds a ``dataset.json`` that
            is not from here.
    """
    file = Path(output) / DATALIST_NAME
    if not _is_same_folder(root, output):
        require_new_folder(output)
    elif file.exists() and not _is_from_here(file):
        raise ValueError(f"{file} is not from this script: move it away, or name a new folder as --output.")


def _is_from_here(file: Path) -> bool:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        return False
    mark = {"preparedBy": PREPARED_BY, "task": CLASSIFICATION_TASK}
    return isinstance(content, Mapping) and mark.items() <= content.items()


def _is_same_folder(root: Path, output: str | os.PathLike) -> bool:
    return Path(output).resolve() == root.resolve()


def _items(cases: Sequence[IsicCase], classes: Sequence[str], base: Path) -> list[dict[str, Any]]:
    return [
        {
            "image": str(base / case.image),
            "label": classes.index(case.label),
            "image_id": case.case,
            "lesion_id": case.lesion,
            **({"mask": str(base / case.mask)} if case.mask else {}),
            "sha256": case.checksums,
        }
        for case in cases
    ]
