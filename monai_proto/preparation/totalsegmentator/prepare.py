"""From a TotalSegmentator-style folder to a prepared data set: the steps, in their order."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from monai_proto.data.atomic_write import require_new_folder
from monai_proto.data.subject_split import read_subjects_csv
from monai_proto.preparation.output_place import Transfer
from monai_proto.preparation.prepared import Prepared
from monai_proto.preparation.totalsegmentator.source import (
    gather_subjects,
    parse_organs,
    read_split,
    scan_totalsegmentator_folder,
)
from monai_proto.preparation.volumes.output import describe_dataset
from monai_proto.preparation.volumes.prepare import prepare_volumes
from monai_proto.preparation.volumes.work_folder import work_folder_beside

__all__ = ["prepare_totalsegmentator"]


def prepare_totalsegmentator(
    source: Path,
    output: Path,
    organ_names: str,
    image_name: str,
    missing_as_empty: bool,
    subjects_file: Path | None,
    division_options: Mapping[str, Any],
    transfer: Transfer = "copy",
    console: Console | None = None,
) -> Prepared:
    """
    Find, merge, check, divide and write.

    Args:
        source: folder with one folder a subject.
        output: new folder.
        organ_names: see :func:`parse_organs`.
        image_name: file name of a subject's image.
        missing_as_empty: whether a mask that is not there means an organ that is not in the image.
        subjects_file: table of the columns case and subject; None takes every folder as a patient of its own.
        division_options: of :func:`monai_proto.preparation.volumes.division.divide_cases`.
        transfer: of the images, see :func:`monai_proto.preparation.output_place.transfer_file`.
        console: where progress bars are shown; None for nowhere.

    Raises:
        ValueError: when the source cannot be read, an option does not fit, or the output is not free.
    """
    organs = parse_organs(organ_names)
    root, found = scan_totalsegmentator_folder(source, organs, image_name)
    require_new_folder(output)
    subjects = read_subjects_csv(subjects_file) if subjects_file else {}
    split = read_split(root / "meta.csv")
    properties = describe_dataset({}, root.name, ["CT"], ["background", *(organ.name for organ in organs)])
    with work_folder_beside(output) as work:
        folder = gather_subjects(found, organs, work, split, missing_as_empty, console)
        return prepare_volumes(folder, properties, output, subjects, division_options, transfer, "meta.csv", console)
