"""The subjects of a TotalSegmentator-style folder, and their masks merged to one label map each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from rich.console import Console
from rich.progress import track

from monai_proto.data.label_map import paint_masks
from monai_proto.data.nifti import Volume, case_name, is_apple_double, is_nifti_name, read_volume, write_nifti
from monai_proto.data.table_file import read_table
from monai_proto.data.volume_checks import check_same_affine, check_same_shape
from monai_proto.preparation.split_words import split_part
from monai_proto.preparation.volumes.case import VolumeCase, VolumeFolder
from monai_proto.preparation.volumes.work_folder import link_into

__all__ = [
    "MASK_FOLDER",
    "Organ",
    "TotalSegmentatorSubject",
    "gather_subjects",
    "parse_organs",
    "read_split",
    "scan_totalsegmentator_folder",
]

MASK_FOLDER = "segmentations"
_MASK_VALUES = (0, 1, 255)


@dataclass(frozen=True)
class Organ:
    """
    A class of the label map.

    Args:
        name: what it is called.
        masks: names of the mask files that make it up, without ``.nii.gz``.
    """

    name: str
    masks: tuple[str, ...]


@dataclass(frozen=True)
class TotalSegmentatorSubject:
    """
    One subject's folder.

    Args:
        name: name of the folder.
        image: the CT; None when there is none.
        masks: mask files by name, without ``.nii.gz``.
    """

    name: str
    image: Path | None
    masks: dict[str, Path]


def parse_organs(text: str) -> list[Organ]:
    """
    Organs as a command line gives them: ``"liver,kidneys=kidney_left+kidney_right"``.

    Raises:
        ValueError: when a name is empty, or an organ or a mask is named twice.
    """
    organs = []
    for part in text.split(","):
        name, _, summands = part.partition("=")
        organs.append(Organ(name.strip(), tuple(mask.strip() for mask in (summands or name).split("+"))))
    names, masks = [organ.name for organ in organs], [mask for organ in organs for mask in organ.masks]
    if not all(names) or not all(masks):
        raise ValueError(f"--organs must be names with commas between them, as liver,spleen, got {text!r}.")
    for kind, given in (("organ", names), ("mask", masks)):
        twice = sorted({name for name in given if given.count(name) > 1})
        if twice:
            raise ValueError(f"--organs names the {kind} {', '.join(twice)} more than once.")
    return organs


def scan_totalsegmentator_folder(
    source: Path, organs: Sequence[Organ], image_name: str = "ct.nii.gz"
) -> tuple[Path, list[TotalSegmentatorSubject]]:
    """
    Args:
        source: folder of the subjects' folders, or one that holds that folder alone.
        organs: organs whose masks are wanted.
        image_name: file name of a subject's image.

    Returns:
        the folder of the subjects' folders, and the subjects by name.

    Raises:
        ValueError: when the folder holds no subject, or no subject has one of the masks.
    """
    if not source.is_dir():
        raise ValueError(f"--source {source} is not a folder.")
    inner = _folders(source)
    for root in (source, *(inner if len(inner) == 1 else ())):
        subjects = [_subject(folder, image_name) for folder in _folders(root)]
        if any(subject.image or subject.masks for subject in subjects):
            break
    else:
        raise ValueError(f"--source {source} has no folders that hold {image_name} or {MASK_FOLDER}/*.nii.gz.")
    available = sorted({mask for subject in subjects for mask in subject.masks})
    unknown = [mask for organ in organs for mask in organ.masks if mask not in available]
    if unknown:
        raise ValueError(
            f"--organs: no subject has {', '.join(f'{MASK_FOLDER}/{mask}.nii.gz' for mask in unknown)}; "
            f"there are {', '.join(available) or 'no masks'}."
        )
    return root, subjects


def read_split(file: Path) -> dict[str, str]:
    """
    The split that TotalSegmentator's ``meta.csv`` gives (columns ``image_id`` and ``split``, semicolons or commas).

    Returns:
        training, validation or test for each subject; empty when the file does not exist or has no such columns.

    Raises:
        ValueError: when a split is none of train, val and test.
    """
    if not file.is_file():
        return {}
    table = read_table(file)
    if not (table.find("image_id") and table.find("split")):
        return {}
    parts = {}
    for row in table.rows:
        try:
            parts[row["image_id"]] = split_part(row["split"])
        except ValueError as error:
            raise table.error(row, str(error)) from error
    return parts


def gather_subjects(
    subjects: Sequence[TotalSegmentatorSubject],
    organs: Sequence[Organ],
    work_folder: Path,
    split: Mapping[str, str] | None = None,
    missing_as_empty: bool = False,
    console: Console | None = None,
) -> VolumeFolder:
    """
    Fill ``work_folder`` with ``imagesTr`` (symbolic links) and ``labelsTr``; holds one subject in memory.

    Where masks overlap, the smaller structure stays. A subject without one of the masks is used as unlabelled: voxels
    of that organ would count as background. A mask that cannot be used, as it is unreadable, lies on another grid or
    holds other values than 0 and 1 (or 255), leaves the subject out.

    Args:
        subjects: the subjects.
        organs: classes 1, 2, ... of the label maps.
        work_folder: empty folder.
        split: training, validation or test for each subject, where it is known.
        missing_as_empty: whether a mask that is not there means an organ that is not in the image.
        console: where a progress bar is shown; None for nowhere.

    Returns:
        the folder, as :func:`monai_proto.preparation.volumes.checks.check_cases` takes it.
    """
    (work_folder / "labelsTr").mkdir()
    cases = []
    for subject in track(subjects, "Merging masks", console=console, disable=console is None):
        case = VolumeCase(subject.name, listed_in=(split or {}).get(subject.name))
        cases.append(case)
        if subject.image is None:
            case.problems.append("subject without image")
            continue
        case.image = link_into(work_folder, "imagesTr", subject.name, subject.image)
        _add_label(case, subject, subject.image, organs, work_folder, missing_as_empty)
    return VolumeFolder(work_folder, {}, cases, [])


def _folders(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))


def _subject(folder: Path, image_name: str) -> TotalSegmentatorSubject:
    masks = folder / MASK_FOLDER
    files = sorted(masks.iterdir()) if masks.is_dir() else []
    return TotalSegmentatorSubject(
        folder.name,
        folder / image_name if (folder / image_name).is_file() else None,
        {case_name(file): file for file in files if is_nifti_name(file) and not is_apple_double(file)},
    )


def _add_label(
    case: VolumeCase,
    subject: TotalSegmentatorSubject,
    image: Path,
    organs: Sequence[Organ],
    work_folder: Path,
    missing_as_empty: bool,
) -> None:
    missing = [mask for organ in organs for mask in organ.masks if mask not in subject.masks]
    if not subject.masks:
        case.notes.append(f"no masks in {MASK_FOLDER}: used as unlabelled")
        return
    if missing:
        use = "taken as empty" if missing_as_empty else "used as unlabelled"
        case.notes.append(f"without {', '.join(f'{MASK_FOLDER}/{mask}.nii.gz' for mask in missing)}: {use}")
        if not missing_as_empty:
            return
    grid = _grid(image)
    if grid is None:  # the check of the image says what is wrong
        return
    masks = {organ.name: _organ_mask(organ, subject, grid, case.problems) for organ in organs}
    if case.problems:
        return
    values = {organ.name: value for value, organ in enumerate(organs, start=1)}
    label, notes = paint_masks(masks, values, grid.data.shape)
    case.notes += notes
    case.label = f"labelsTr/{subject.name}.nii.gz"
    write_nifti(work_folder / case.label, label, grid.affine)


def _organ_mask(organ: Organ, subject: TotalSegmentatorSubject, grid: Volume, problems: list[str]) -> np.ndarray:
    """Union of an organ's masks, boolean (X, Y, Z); what is wrong with them goes into ``problems``."""
    union = np.zeros(grid.data.shape, bool)
    for name in organ.masks:
        if name not in subject.masks:
            continue
        mask, found = read_volume(subject.masks[name])
        if mask is not None:
            found += check_same_shape(grid, mask) + check_same_affine(grid, mask)
            if not np.isin(mask.data, _MASK_VALUES).all():
                problems.append(f"{MASK_FOLDER}/{name}.nii.gz: mask values must be 0 and 1 (or 255)")
        problems += [f"{MASK_FOLDER}/{name}.nii.gz: {problem.message}" for problem in found]
        if mask is not None and not problems:
            union |= mask.data.reshape(grid.data.shape) > 0
    return union


def _grid(image: Path) -> Volume | None:
    """Shape and affine of an image, without its voxels; None when the header cannot be read."""
    try:
        header: Any = nib.load(image)
        return Volume(str(image), np.broadcast_to(np.uint8(0), header.shape[:3]), np.asarray(header.affine, float))
    except (OSError, EOFError, ValueError, nib.filebasedimages.ImageFileError, nib.spatialimages.HeaderDataError):
        return None
