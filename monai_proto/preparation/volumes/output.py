"""Writes a divided data set of volumes and its report: a new folder, or lists in the source folder itself."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console

from monai_proto.data.datalist import write_datalist
from monai_proto.preparation.case_report import CaseReport
from monai_proto.preparation.output_place import PREPARED_BY, OutputPlace, Transfer, transfer_files
from monai_proto.preparation.volumes.case import VolumeCase, VolumeFolder
from monai_proto.preparation.volumes.division import VolumeDivision

__all__ = [
    "datalist_item",
    "declared_label_values",
    "describe_dataset",
    "name_label_values",
    "write_prepared_dataset",
]


def write_prepared_dataset(
    folder: VolumeFolder,
    division: VolumeDivision,
    properties: Mapping[str, Any],
    report: CaseReport,
    output: str | os.PathLike,
    transfer: Transfer = "copy",
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
        transfer: see :func:`monai_proto.preparation.output_place.transfer_file`.
        console: where a progress bar is shown; None for nowhere.

    Raises:
        ValueError: when ``output`` is another folder that is not empty, or the original of ``dataset.json`` would
            replace an earlier one.
    """
    place = OutputPlace(folder.root, output)
    with place.open() as target:
        if not place.in_place:
            files = [file for cases in division.parts().values() for case in cases for file in case.files]
            transfer_files(files, folder.root, target, transfer, console)
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


def _numbered(names: Sequence[str]) -> dict[str, str]:
    return {str(index): name for index, name in enumerate(names)}


def _integer_keys(mapping: Any, key: str) -> dict[str, str]:
    if not isinstance(mapping, Mapping) or not all(str(value).isdigit() for value in mapping):
        raise ValueError(f"{key} of dataset.json must map integers to names, as in {{'0': 'name'}}, got {mapping}.")
    return {str(value): name for value, name in mapping.items()}
