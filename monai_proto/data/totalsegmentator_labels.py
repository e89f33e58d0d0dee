"""Lays a TotalSegmentator-style folder out as a Decathlon one: the masks of a subject become one label map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
from rich.console import Console
from rich.progress import track

from monai_proto.data.decathlon_folder import DecathlonCase, DecathlonFolder
from monai_proto.data.dicom_nifti import write_nifti
from monai_proto.data.nifti_volume import Volume, read_volume
from monai_proto.data.paint_masks import paint_masks
from monai_proto.data.totalsegmentator_folder import MASK_FOLDER, Organ, TotalSegmentatorSubject
from monai_proto.data.volume_checks import check_same_affine, check_same_shape

__all__ = ["gather_subjects"]

_MASK_VALUES = (0, 1, 255)


def gather_subjects(
    subjects: Sequence[TotalSegmentatorSubject],
    organs: Sequence[Organ],
    work_folder: Path,
    split: Mapping[str, str] | None = None,
    missing_as_empty: bool = False,
    console: Console | None = None,
) -> DecathlonFolder:
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
        the folder, as :func:`monai_proto.data.decathlon_checks.check_cases` takes it.
    """
    for name in ("imagesTr", "labelsTr"):
        (work_folder / name).mkdir()
    cases = []
    for subject in track(subjects, "Merging masks", console=console, disable=console is None):
        case = DecathlonCase(subject.name, listed_in=(split or {}).get(subject.name))
        cases.append(case)
        if subject.image is None:
            case.problems.append("subject without image")
            continue
        case.image = f"imagesTr/{subject.name}{_suffix(subject.image)}"
        (work_folder / case.image).symlink_to(subject.image.resolve())
        _add_label(case, subject, organs, work_folder, missing_as_empty)
    return DecathlonFolder(work_folder, {}, cases, [])


def _add_label(
    case: DecathlonCase,
    subject: TotalSegmentatorSubject,
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
    grid = _grid(subject.image)
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
        if not problems:
            union |= mask.data.reshape(grid.data.shape) > 0
    return union


def _grid(image: Path) -> Volume | None:
    """Shape and affine of an image, without its voxels; None when the header cannot be read."""
    try:
        header = nib.load(image)
        return Volume(str(image), np.broadcast_to(np.uint8(0), header.shape[:3]), np.asarray(header.affine, float))
    except (OSError, EOFError, ValueError, nib.filebasedimages.ImageFileError, nib.spatialimages.HeaderDataError):
        return None


def _suffix(image: Path) -> str:
    return ".nii.gz" if image.name.lower().endswith(".gz") else ".nii"
