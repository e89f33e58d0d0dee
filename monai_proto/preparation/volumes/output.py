"""Writes a divided data set of volumes and its report: a new folder, or lists in the source folder itself."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.progress import track

from monai_proto.data.atomic_write import new_folder_atomically, require_new_folder
from monai_proto.data.datalist import DATALIST_NAME, write_datalist
from monai_proto.preparation.case_report import CaseReport
from monai_proto.preparation.volumes.case import VolumeCase, VolumeFolder
from monai_proto.preparation.volumes.division import VolumeDivision

__all__ = [
    "ORIGINAL_DATALIST_NAME",
    "PREPARED_BY",
    "datalist_item",
    "declared_label_values",
    "describe_dataset",
    "name_label_values",
    "report_cases",
    "require_output",
    "transfer_file",
    "write_prepared_dataset",
]

ORIGINAL_DATALIST_NAME = "dataset.original.json"
PREPARED_BY = "monai_proto"


def report_cases(folder: VolumeFolder, division: VolumeDivision, name: str) -> CaseReport:
    """What became of every case of ``folder``: part by part, then those that were left out."""
    report = CaseReport(name)
    for split, cases in division.parts().items():
        for case in cases:
            report.include(case.case, split, case.files, case.notes)
    for case in folder.cases:
        if case.problems:
            report.exclude(case.case, case.files, case.problems)
    for remark in folder.remarks:
        report.remark(remark)
    return report


def write_prepared_dataset(
    folder: VolumeFolder,
    division: VolumeDivision,
    properties: Mapping[str, Any],
    report: CaseReport,
    output: str | os.PathLike,
    transfer: Literal["copy", "link", "move"] = "copy",
    console: Console | None = None,
) -> None:
    """
    Write ``dataset.json``, ``report.csv`` and ``summary.txt``, and bring the files of included cases beside them.

    Args:
        folder: where the files lie.
        division: which case goes where.
        properties: properties of the data list.
        report: the report to write.
        output: new folder, which appears when it is complete; or the folder itself: its files stay as they are, and a
            ``dataset.json`` that is not from here is kept as ``dataset.original.json``.
        transfer: see :func:`transfer_file`.
        console: where a progress bar is shown; None for nowhere.

    Raises:
        ValueError: when ``output`` is another folder that is not empty, or the original of ``dataset.json`` would
            replace an earlier one.
    """
    output = Path(output)
    require_output(folder, output)
    in_place = _is_root(folder, output)
    with _keep_original(folder) if in_place else new_folder_atomically(output) as target:
        if not in_place:
            files = [file for cases in division.parts().values() for case in cases for file in case.files]
            for file in track(files, "Writing files", console=console, disable=console is None):
                transfer_file(folder.root / file, target / file, transfer)
        report.write(target)
        write_datalist(
            target,
            properties,
            training=[datalist_item(case) for case in division.training],
            unlabelled=[datalist_item(case) for case in division.unlabelled],
            validation=[datalist_item(case) for case in division.validation],
            test=[datalist_item(case) for case in division.test],
            num_labelled=division.num_labelled,
        )


def require_output(folder: VolumeFolder, output: str | os.PathLike) -> None:
    """
    Check the place of the output, for a script that would otherwise find out after hours of reading.

    Raises:
        ValueError: when ``output`` is another folder than ``folder`` and not empty, or the original of
            ``dataset.json`` would replace an earlier one.
    """
    if not _is_root(folder, output):
        require_new_folder(output)
    elif _has_foreign_datalist(folder) and (folder.root / ORIGINAL_DATALIST_NAME).exists():
        raise ValueError(
            f"{folder.root / ORIGINAL_DATALIST_NAME} exists already: move it away, "
            f"it is where the present {DATALIST_NAME} is to be kept."
        )


def transfer_file(source: Path, target: Path, transfer: Literal["copy", "link", "move"]) -> None:
    """
    Bring a file to a new place; missing folders are made.

    Args:
        source: file or symbolic link to one.
        target: new file.
        transfer: ``"copy"``; ``"link"`` makes a hard link, or a copy where the file system has none; ``"move"``.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    if transfer == "move" and not source.is_symlink():
        shutil.move(source, target)
        return
    if transfer == "link":
        try:
            os.link(source.resolve(), target)
            return
        except OSError:  # another file system, or one without hard links
            pass
    shutil.copyfile(source, target)


def datalist_item(case: VolumeCase) -> dict[str, Any]:
    """The case as :func:`write_datalist` takes it."""
    files = {"image": case.image, **({"label": case.label} if case.label else {})}
    return {**files, "patient_id": case.subject, "sha256": case.checksums}


def describe_dataset(
    given: Mapping[str, Any],
    name: str,
    modalities: Sequence[str] | None = None,
    label_names: Sequence[str] | None = None,
) -> dict[str, Any]:
    """
    Complete the properties that a data set came with, and keep all of them that it had.

    Args:
        given: content of its dataset.json without the lists; empty when it had none.
        name: name of the data set where ``given`` has none.
        modalities: names of the channels; None takes the given ones, else a single one called image.
        label_names: names of the label values 0, 1, ...; None takes the given ones, if any.

    Returns:
        properties with at least ``name``, ``description``, ``modality``, ``tensorImageSize`` and ``preparedBy``;
        ``labels`` when they are known.

    Raises:
        ValueError: when the given ``modality`` or ``labels`` is not a mapping from integers to names.
    """
    properties = {"name": name, "description": "", **given, "preparedBy": PREPARED_BY}
    if modalities:
        properties["modality"] = _numbered(modalities)
    properties["modality"] = _integer_keys(properties.get("modality") or {"0": "image"}, "modality")
    properties["tensorImageSize"] = "3D" if len(properties["modality"]) == 1 else "4D"
    if label_names:
        properties["labels"] = _numbered(label_names)
    if properties.get("labels"):
        properties["labels"] = _integer_keys(properties["labels"], "labels")
    return properties


def declared_label_values(properties: Mapping[str, Any]) -> set[int] | None:
    """Values of the classes in ``labels``; None when the properties have none."""
    return {int(value) for value in properties["labels"]} if properties.get("labels") else None


def name_label_values(values: Iterable[int]) -> dict[str, str]:
    """Names for label values that nobody named: background for 0, ``label 3`` for 3."""
    return {str(value): f"label {value}" if value else "background" for value in sorted({0, *values})}


@contextmanager
def _keep_original(folder: VolumeFolder) -> Iterator[Path]:
    if _has_foreign_datalist(folder):
        shutil.copyfile(folder.root / DATALIST_NAME, folder.root / ORIGINAL_DATALIST_NAME)
    yield folder.root


def _has_foreign_datalist(folder: VolumeFolder) -> bool:
    return (folder.root / DATALIST_NAME).exists() and folder.properties.get("preparedBy") != PREPARED_BY


def _is_root(folder: VolumeFolder, output: str | os.PathLike) -> bool:
    return Path(output).resolve() == folder.root.resolve()


def _numbered(names: Sequence[str]) -> dict[str, str]:
    return {str(index): name for index, name in enumerate(names)}


def _integer_keys(mapping: Any, key: str) -> dict[str, str]:
    if not isinstance(mapping, Mapping) or not all(str(value).isdigit() for value in mapping):
        raise ValueError(f"{key} of dataset.json must map integers to names, as in {{'0': 'name'}}, got {mapping}.")
    return {str(value): name for value, name in mapping.items()}
