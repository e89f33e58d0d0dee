"""From a Decathlon folder, or folders of patients, to a prepared data set: the steps, in their order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from monai_proto.data.subject_split import read_subjects_csv
from monai_proto.preparation.decathlon.patient_folders import gather_matching_files
from monai_proto.preparation.decathlon.source import scan_decathlon_folder
from monai_proto.preparation.output_place import OutputPlace, Transfer
from monai_proto.preparation.prepared import Prepared
from monai_proto.preparation.volumes.output import describe_dataset
from monai_proto.preparation.volumes.prepare import prepare_volumes
from monai_proto.preparation.volumes.work_folder import work_folder_beside

__all__ = ["prepare_decathlon", "prepare_matching_files"]


def prepare_decathlon(
    root: Path,
    output: Path,
    subjects_file: Path | None,
    division_options: Mapping[str, Any],
    modalities: Sequence[str] | None = None,
    label_names: Sequence[str] | None = None,
    transfer: Transfer = "copy",
    console: Console | None = None,
) -> Prepared:
    """
    Find, check, divide and write.

    Args:
        root: folder with a dataset.json, or with imagesTr/labelsTr or images/labels.
        output: new folder, or ``root`` itself.
        subjects_file: table of the columns case and subject; None for subjects.csv in ``root``, where there is one.
        division_options: of :func:`monai_proto.preparation.volumes.division.divide_cases`.
        modalities, label_names: see :func:`describe_dataset`.
        transfer: see :func:`monai_proto.preparation.output_place.transfer_file`.
        console: where progress bars are shown; None for nowhere.

    Raises:
        ValueError: when the source cannot be read, an option does not fit, or the output is not free.
    """
    folder = scan_decathlon_folder(root)
    OutputPlace(root, output).require()
    properties = describe_dataset(folder.properties, root.name, modalities, label_names)
    subjects = _subjects(root, subjects_file)
    return prepare_volumes(folder, properties, output, subjects, division_options, transfer, console=console)


def prepare_matching_files(
    root: Path,
    output: Path,
    images: str,
    labels: str,
    subjects_file: Path | None,
    division_options: Mapping[str, Any],
    modalities: Sequence[str] | None = None,
    label_names: Sequence[str] | None = None,
    transfer: Transfer = "copy",
    console: Console | None = None,
) -> Prepared:
    """
    As :func:`prepare_decathlon`, for a folder whose images and labels two glob patterns name, such as one folder a
    patient.

    Args:
        root: the folder.
        output: new folder.
        images, labels: see :func:`gather_matching_files`.
        subjects_file, division_options, modalities, label_names, transfer, console: see :func:`prepare_decathlon`.

    Raises:
        ValueError: when nothing fits the patterns, an option does not fit, or the output is not free.
    """
    with work_folder_beside(output) as work:
        folder = gather_matching_files(root, images, labels, work)
        properties = describe_dataset({}, root.resolve().name, modalities, label_names)
        subjects = _subjects(root, subjects_file)
        return prepare_volumes(folder, properties, output, subjects, division_options, transfer, console=console)


def _subjects(root: Path, file: Path | None) -> dict[str, str]:
    if file is None and (root / "subjects.csv").is_file():
        file = root / "subjects.csv"
    return read_subjects_csv(file) if file else {}
