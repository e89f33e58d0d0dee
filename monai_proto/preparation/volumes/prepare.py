"""The steps that follow once a source of volumes lies there as a folder of cases: check, divide, write."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from monai_proto.preparation.case_report import report_cases
from monai_proto.preparation.output_place import Transfer
from monai_proto.preparation.prepared import Prepared
from monai_proto.preparation.volumes.case import VolumeFolder
from monai_proto.preparation.volumes.checks import assign_subjects, check_cases
from monai_proto.preparation.volumes.division import VolumeDivision, divide_cases
from monai_proto.preparation.volumes.output import declared_label_values, name_label_values, write_prepared_dataset

__all__ = ["prepare_volumes"]


def prepare_volumes(
    folder: VolumeFolder,
    properties: Mapping[str, Any],
    output: Path,
    subjects: Mapping[str, str],
    division_options: Mapping[str, Any],
    transfer: Transfer = "copy",
    given_by: str = "dataset.json",
    console: Console | None = None,
) -> Prepared:
    """
    Args:
        folder: the cases.
        properties: see :func:`monai_proto.preparation.volumes.output.describe_dataset`.
        output: new folder, or that of the cases.
        subjects: subject of each case by name, where it is known.
        division_options: of :func:`divide_cases`.
        transfer: see :func:`monai_proto.preparation.output_place.transfer_file`.
        given_by: the file that a given split is from.
        console: where progress bars are shown; None for nowhere.

    Raises:
        ValueError: when an option does not fit, or the output is not free.
    """
    properties = dict(properties)
    _require_pairs(folder, division_options.get("num_labelled"))
    found = check_cases(folder, len(properties["modality"]), declared_label_values(properties), console)
    cases = [case for case in folder.cases if not case.problems]
    name = properties["name"]
    if not any(case.label for case in cases):
        parts = VolumeDivision(unlabelled=cases).parts()
        report = report_cases(name, parts, folder.cases, folder.remarks)
        return Prepared(report, lacking="no case with a usable label")
    folder.remarks += assign_subjects(cases, subjects)
    if "labels" not in properties:
        properties["labels"] = name_label_values(found)
        folder.remarks.append(f"no label names given, values found: {', '.join(properties['labels'])}")
    division = divide_cases(cases, **division_options, given_by=given_by)
    folder.remarks.append(division.describe())
    report = report_cases(name, division.parts(), folder.cases, folder.remarks)
    write_prepared_dataset(folder, division, properties, report, output, transfer, console)
    return Prepared(report, output, overrides={"num_labelled": division.num_labelled})


def _require_pairs(folder: VolumeFolder, num_labelled: int | None) -> None:
    """Said before hours of reading, not after."""
    pairs = sum(case.image is not None and case.label is not None for case in folder.cases)
    if (num_labelled or 0) > pairs > 0:
        raise ValueError(f"--labelled {num_labelled} is more than the {pairs} pairs of image and label.")
