"""Finds the subjects of a TotalSegmentator-style folder: each has ct.nii.gz and segmentations/ORGAN.nii.gz."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from monai_proto.data.nifti_files import case_name, is_apple_double, is_nifti_name

__all__ = [
    "MASK_FOLDER",
    "Organ",
    "TotalSegmentatorSubject",
    "parse_organs",
    "read_split",
    "scan_totalsegmentator_folder",
]

MASK_FOLDER = "segmentations"
_PARTS = {"train": "training", "training": "training", "val": "validation", "validation": "validation", "test": "test"}


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
        name, _, masks = part.partition("=")
        organs.append(Organ(name.strip(), tuple(mask.strip() for mask in (masks or name).split("+"))))
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
    with open(file, encoding="utf-8-sig", newline="") as stream:
        header = stream.readline()
        stream.seek(0)
        rows = csv.DictReader(stream, delimiter=";" if ";" in header else ",")
        if not {"image_id", "split"} <= set(rows.fieldnames or ()):
            return {}
        parts = {}
        for row in rows:
            part = (row["split"] or "").strip().lower()
            if part not in _PARTS:
                raise ValueError(
                    f"{file}, line {rows.line_num}: split must be one of train, val and test, got {row['split']!r}."
                )
            parts[(row["image_id"] or "").strip()] = _PARTS[part]
    return parts


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
