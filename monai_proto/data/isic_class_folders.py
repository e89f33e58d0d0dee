"""Reads the plain layout: a folder for each class, or such folders in train, val and test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath

from monai_proto.data.isic_case import IsicCase
from monai_proto.data.isic_files import IsicFiles
from monai_proto.data.isic_tables import PART_NAMES

__all__ = ["read_class_folders"]


def read_class_folders(files: IsicFiles) -> tuple[list[IsicCase], list[str]]:
    """
    Take the class, and the part of the split, of every image from the folders it lies in.

    ``[part/]class/.../image.jpg``, where part is train, training, val, valid, validation, test or testing; folders
    around all of it are passed over. An image's id is its file name, or its path where the name occurs twice.

    Args:
        files: what the source folder holds.

    Returns:
        cases in order of their paths, and the classes by name.

    Raises:
        ValueError: when there are no class folders.
    """
    paths = [PurePosixPath(file) for file in files.images]
    depth = _depth_of_common_folders(paths)
    has_parts = any(path.parts[depth].lower() in PART_NAMES for path in paths if len(path.parts) > depth + 1)
    stems = Counter(path.stem for path in paths)
    cases = []
    for path in paths:
        folders = path.parts[depth:-1]
        unique = stems[path.stem] == 1
        name = path.stem if unique else "-".join(path.with_suffix("").parts[depth:])
        case = IsicCase(name, str(path), mask=files.masks.get(path.stem) if unique else None)
        if has_parts:
            case.listed_in = PART_NAMES.get(folders[0].lower()) if folders else None
            folders = folders[1:]
        if has_parts and not case.listed_in:
            case.problems.append("image outside of the folders train, val and test")
        elif not folders:
            case.problems.append("image outside of the folders of the classes")
        else:
            case.label = folders[0]
        cases.append(case)
    classes = sorted({case.label for case in cases if case.label})
    if not classes:
        raise ValueError("--source holds neither a table of labels nor folders of classes with images in them.")
    return cases, classes


def _depth_of_common_folders(paths: Sequence[PurePosixPath]) -> int:
    """How many folders all images share, and hold nothing but the next: ``archive/data`` around the classes."""
    depth = 0
    while paths and all(len(path.parts) > depth + 1 and path.parts[depth] == paths[0].parts[depth] for path in paths):
        depth += 1
    return depth
