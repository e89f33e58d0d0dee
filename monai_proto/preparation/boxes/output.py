"""Writes a divided data set of boxes and its report: a new folder; the pictures stay where they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from monai_proto.data.atomic_write import new_folder_atomically
from monai_proto.data.boxes.annotation import BoxAnnotation
from monai_proto.data.boxes.datalist import write_box_datalist
from monai_proto.preparation.case_report import CaseReport

__all__ = ["write_box_dataset"]


def write_box_dataset(
    annotations: Iterable[BoxAnnotation],
    properties: Mapping[str, Any],
    report: CaseReport,
    output: Path,
    training_masks: bool = True,
) -> None:
    """
    Write ``dataset.json``, ``report.csv`` and ``summary.txt``.

    Args:
        annotations: objects without problems, each with its ``split``.
        properties: properties of the data list.
        report: the report to write.
        output: new folder, which appears when it is complete.
        training_masks: see :func:`write_box_datalist`.

    Raises:
        ValueError: when ``output`` is a folder that is not empty.
    """
    with new_folder_atomically(output) as folder:
        report.write(folder)
        write_box_datalist(folder, properties, annotations, training_masks, final_folder=output)
