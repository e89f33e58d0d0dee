"""From a raw folder of nnU-Net to a prepared data set: the steps, in their order."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from monai_proto.data.subject_split import read_subjects_csv
from monai_proto.preparation.nnunet.description import SPLITS_NAME, read_nnunet_description, read_nnunet_split
from monai_proto.preparation.nnunet.source import find_nnunet_root, gather_nnunet_cases
from monai_proto.preparation.output_place import Transfer
from monai_proto.preparation.prepared import Prepared
from monai_proto.preparation.volumes.output import describe_dataset
from monai_proto.preparation.volumes.prepare import prepare_volumes
from monai_proto.preparation.volumes.work_folder import work_folder_beside

__all__ = ["prepare_nnunet"]


def prepare_nnunet(
    source: Path,
    output: Path,
    splits_file: Path | None,
    fold: int | None,
    subjects_file: Path | None,
    division_options: Mapping[str, Any],
    link: bool = False,
    console: Console | None = None,
) -> Prepared:
    """
    Find, join channels, check, divide and write.

    Args:
        source: raw folder of one data set, or one that holds it alone.
        output: new folder.
        splits_file: nnU-Net's splits_final.json; None for the one in the source folder, where there is one.
        fold: fold of it; None for the first.
        subjects_file: table of the columns case and subject; None takes every case as a subject of its own.
        division_options: of :func:`monai_proto.preparation.volumes.division.divide_cases`; a fraction draws a new
            split.
        link: whether files are hard-linked instead of copied.
        console: where progress bars are shown; None for nowhere.

    Raises:
        ValueError: when the source cannot be read, an option does not fit, or the output is not free.
    """
    root = find_nnunet_root(source)
    description = read_nnunet_description(root)
    fractions = [name for name in ("validation_fraction", "test_fraction") if division_options.get(name) is not None]
    if fractions and (splits_file is not None or fold is not None):
        raise ValueError(f"--{fractions[0].replace('_', '-')} draws a new split: leave out --splits and --fold.")
    if splits_file is None and (root / SPLITS_NAME).is_file():
        splits_file = root / SPLITS_NAME
    if splits_file is None and fold is not None:
        raise ValueError(f"--fold needs a split: {root} holds no {SPLITS_NAME}, give it with --splits.")
    split = read_nnunet_split(splits_file, fold or 0) if splits_file else {}
    subjects = read_subjects_csv(subjects_file) if subjects_file else {}
    properties = describe_dataset(description.properties, root.name, description.channels, description.labels)
    given_by = f"{splits_file.name} (fold {fold or 0})" if splits_file else "the source"
    with work_folder_beside(output) as work:
        folder = gather_nnunet_cases(root, description, split, work, console)
        # joined files are moved out of the work folder, links to the source are followed
        transfer: Transfer = "link" if link else "move"
        return prepare_volumes(folder, properties, output, subjects, division_options, transfer, given_by, console)
