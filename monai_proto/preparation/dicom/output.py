"""Writes the converted series of a DICOM preparation as a data set with its data list, and their report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track

from monai_proto.data.datalist import write_datalist
from monai_proto.data.label_map import renumber_label
from monai_proto.preparation.case_report import CaseReport, report_cases
from monai_proto.preparation.dicom.case import SeriesCase
from monai_proto.preparation.dicom.left_out import LeftOut
from monai_proto.preparation.dicom.source import work_folder
from monai_proto.preparation.output_place import PREPARED_BY, transfer_file
from monai_proto.preparation.volumes.division import VolumeDivision
from monai_proto.preparation.volumes.output import datalist_item

__all__ = ["report_series", "write_dicom_dataset"]


def report_series(
    title: str,
    series: Sequence[SeriesCase],
    division: VolumeDivision[SeriesCase],
    left: Sequence[LeftOut],
    remarks: Sequence[str],
    with_files: bool,
) -> CaseReport:
    """
    What became of everything in the tree.

    Args:
        title: first line of the summary.
        series: the series that were converted.
        division: which case goes where.
        left: what else was left out.
        remarks: on the data set as a whole.
        with_files: True names the files of the tree, whose names may tell who the patients are; for the key folder.
    """
    report = report_cases(title, division.parts(), series, (), lambda case: case.report_files(with_files))
    for entry in left:
        if with_files:
            report.exclude(entry.place, entry.files, entry.reasons)
        else:
            report.exclude(entry.name, [], entry.public_reasons or entry.reasons)
    for remark in remarks:
        report.remark(remark)
    return report


def write_dicom_dataset(
    target: Path,
    title: str,
    series: Sequence[SeriesCase],
    division: VolumeDivision[SeriesCase],
    label_names: Sequence[str],
    work: Path,
    console: Console | None = None,
) -> None:
    """
    Bring the files and the data list into a folder.

    Args:
        target: existing folder.
        title: name of the data set.
        series: the series that were converted; those that ``division`` holds are written.
        division: which case goes where.
        label_names: structures in the order of the label values 1, 2, ...
        work: folder with the converted files.
        console: where a progress bar is shown; None for nowhere.
    """
    included = {case.case for cases in division.parts().values() for case in cases}
    cases = [case for case in series if case.case in included]
    value_of = {name: value for value, name in enumerate(label_names, start=1)}
    for case in track(cases, "Writing files", console=console, disable=console is None):
        _transfer(case, work_folder(work, case.row.series_instance_uid), target, value_of)
    modalities = {case.modality for case in cases}
    properties = {
        "name": title,
        "description": "Prepared from DICOM by data_scripts/prepare_dicom.py",
        "modality": {"0": modalities.pop() if len(modalities) == 1 else "image"},
        "labels": {str(value): name for value, name in enumerate(["background", *label_names])},
        "tensorImageSize": "3D",
        "preparedBy": PREPARED_BY,
    }
    write_datalist(
        target,
        properties,
        training=[_item(case) for case in division.training],
        unlabelled=[_item(case) for case in division.unlabelled],
        validation=[_item(case) for case in division.validation],
        test=[_item(case) for case in division.test],
        num_labelled=division.num_labelled,
    )


def _transfer(case: SeriesCase, folder: Path, target: Path, value_of: Mapping[str, int]) -> None:
    transfer_file(folder / "image.nii.gz", target / case.image_file, "link")
    if case.label:
        (target / case.label).parent.mkdir(exist_ok=True)
        numbers = {old: value_of[name] for old, name in enumerate(case.converted.label_names, start=1)}
        case.checksums["label"] = renumber_label(folder / "label.nii.gz", target / case.label, numbers)


def _item(case: SeriesCase) -> dict[str, Any]:
    tags = case.converted.tags
    return {**datalist_item(case), **({"dicom": dict(tags)} if tags else {})}
