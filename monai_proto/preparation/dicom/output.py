"""Writes the converted series of a DICOM preparation as a data set with its data list, and their report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track

from monai_proto.data.datalist import write_datalist
from monai_proto.data.label_map import renumber_label
from monai_proto.preparation.case_report import CaseReport
from monai_proto.preparation.dicom.checks import ConvertedSeries
from monai_proto.preparation.dicom.left_out import LeftOut
from monai_proto.preparation.dicom.pseudonyms import KeyRow
from monai_proto.preparation.dicom.source import work_folder
from monai_proto.preparation.volumes.case import VolumeCase
from monai_proto.preparation.volumes.division import VolumeDivision
from monai_proto.preparation.volumes.output import PREPARED_BY, datalist_item, transfer_file

__all__ = ["PreparedSeries", "report_series", "write_dicom_dataset"]


@dataclass
class PreparedSeries:
    """
    A series on its way into the data list.

    Args:
        row: its pseudonyms, and what they stand for.
        files: its files in words.
        converted: what became of it.
        modality: such as CT.
        case: the same as a case of a data list.
    """

    row: KeyRow
    files: list[str]
    converted: ConvertedSeries
    modality: str
    case: VolumeCase = field(init=False)

    def __post_init__(self) -> None:
        made = self.converted
        self.case = VolumeCase(
            self.row.case,
            image=f"imagesTr/{self.row.case}.nii.gz",
            label=f"labelsTr/{self.row.case}.nii.gz" if made.labels else None,
            subject=self.row.patient,
            checksums=dict(made.checksums),
            problems=list(made.problems),
            notes=list(made.notes),
        )


def report_series(
    title: str,
    series: Sequence[PreparedSeries],
    division: VolumeDivision,
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
    report = CaseReport(title)
    by_case = {item.row.case: item for item in series}
    for split, cases in division.parts().items():
        for case in cases:
            item = by_case[case.case]
            files = [*item.files, *item.converted.labels]
            report.include(case.case, split, files if with_files else case.files, case.notes)
    for item in series:
        if item.case.problems:
            files = item.files if with_files else []
            report.exclude(item.case.case, files, item.case.problems + item.case.notes)
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
    series: Sequence[PreparedSeries],
    division: VolumeDivision,
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
    items = [item for item in series if item.row.case in included]
    value_of = {name: value for value, name in enumerate(label_names, start=1)}
    for item in track(items, "Writing files", console=console, disable=console is None):
        _transfer(item, work_folder(work, item.row.series_instance_uid), target, value_of)
    tags = {item.row.case: item.converted.tags for item in items}
    modalities = {item.modality for item in items}
    properties = {
        "name": title,
        "description": "Prepared from DICOM by data_scripts/prepare_dicom.py",
        "modality": {"0": modalities.pop() if len(modalities) == 1 else "image"},
        "labels": {str(value): name for value, name in enumerate(["background", *label_names])},
        "tensorImageSize": "3D",
        "preparedBy": PREPARED_BY,
    }
    parts = {
        part: [_item(case, tags[case.case]) for case in getattr(division, part)]
        for part in ("training", "unlabelled", "validation", "test")
    }
    write_datalist(target, properties, **parts, num_labelled=division.num_labelled)


def _transfer(item: PreparedSeries, folder: Path, target: Path, value_of: Mapping[str, int]) -> None:
    transfer_file(folder / "image.nii.gz", target / item.case.image, "link")
    if item.case.label:
        (target / item.case.label).parent.mkdir(exist_ok=True)
        numbers = {old: value_of[name] for old, name in enumerate(item.converted.label_names, start=1)}
        item.case.checksums["label"] = renumber_label(folder / "label.nii.gz", target / item.case.label, numbers)


def _item(case: VolumeCase, tags: Mapping[str, str]) -> dict[str, Any]:
    return {**datalist_item(case), **({"dicom": dict(tags)} if tags else {})}
