"""What became of every object that boxes were made for or read."""

from __future__ import annotations

from collections.abc import Iterable

from monai_proto.data.boxes.annotation import BoxAnnotation
from monai_proto.data.boxes.datalist import BOX_PARTS
from monai_proto.preparation.case_report import CaseReport

__all__ = ["report_boxes"]


def report_boxes(annotations: Iterable[BoxAnnotation], name: str, remarks: Iterable[str] = ()) -> CaseReport:
    """
    Args:
        annotations: all objects, with problems where they cannot be used, else with their ``split``.
        name: the data set's name.
        remarks: lines on the data set as a whole.

    Returns:
        the objects of each part in turn, then those that were left out.
    """
    annotations = list(annotations)
    report = CaseReport(name)
    for part in BOX_PARTS:
        for one in annotations:
            if not one.problems and one.split == part:
                report.include(one.case, part, one.files(), one.notes)
    for one in annotations:
        if one.problems:
            report.exclude(one.case, one.files(), one.problems)
    for remark in remarks:
        report.remark(remark)
    return report
