"""Writes a divided dermoscopy data set and its report: a new folder, or lists in the source folder itself."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from rich.console import Console

from monai_proto.data.classification_datalist import CLASSIFICATION_TASK, write_classification_datalist
from monai_proto.preparation.case_report import CaseReport
from monai_proto.preparation.isic.case import IsicCase, IsicSource
from monai_proto.preparation.isic.division import IsicDivision
from monai_proto.preparation.output_place import PREPARED_BY, OutputPlace, transfer_files

__all__ = ["IsicTransfer", "isic_output_place", "write_isic_dataset"]

IsicTransfer = Literal["copy", "link", "none"]


def write_isic_dataset(
    source: IsicSource,
    division: IsicDivision,
    report: CaseReport,
    output: str | os.PathLike,
    transfer: IsicTransfer = "copy",
    console: Console | None = None,
) -> None:
    """
    Write ``dataset.json``, ``report.csv`` and ``summary.txt``, and bring the files of included images beside them.

    Args:
        source: where the files lie.
        division: which image goes where.
        report: the report to write.
        output: new folder, which appears when it is complete; or the source folder itself: its files stay as they are,
            and a ``dataset.json`` that is not from here is kept as ``dataset.original.json``.
        transfer: ``"copy"``; ``"link"`` makes hard links, or copies where the file system has none; ``"none"`` leaves
            the files where they are and lists absolute paths. Without meaning where ``output`` is the source.
        console: where a progress bar is shown; None for nowhere.

    Raises:
        ValueError: see :class:`OutputPlace`.
    """
    place = isic_output_place(source.root, output)
    absolute = transfer == "none" and not place.in_place
    properties = {
        "name": report.title,
        "description": f"Prepared from {source.root.name} ({source.layout}) by data_scripts/prepare_isic.py",
        "labels": {str(index): name for index, name in enumerate(source.classes)},
        "preparedBy": PREPARED_BY,
    }
    base = source.root.absolute() if absolute else Path()
    items = {part: _items(cases, source.classes, base) for part, cases in division.parts().items()}
    with place.open() as target:
        if not place.in_place and transfer != "none":
            files = [file for cases in division.parts().values() for case in cases for file in case.files]
            transfer_files(files, source.root, target, transfer, console)
        report.write(target)
        write_classification_datalist(target, properties, **items)


def isic_output_place(root: Path, output: str | os.PathLike) -> OutputPlace:
    """The place of the output, see :class:`OutputPlace`."""
    return OutputPlace(root, output, CLASSIFICATION_TASK)


def _items(cases: Sequence[IsicCase], classes: Sequence[str], base: Path) -> list[dict[str, Any]]:
    return [
        {
            "image": str(base / case.image_file),
            "label": classes.index(case.class_name),
            "image_id": case.case,
            "lesion_id": case.lesion_id,
            **({"mask": str(base / case.mask)} if case.mask else {}),
            "sha256": case.checksums,
        }
        for case in cases
    ]
