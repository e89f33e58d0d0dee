"""Images, lesion masks and tables in a folder of dermoscopy images, and folders named after classes."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from monai_proto.data.nifti import is_apple_double
from monai_proto.data.picture_files import PICTURE_SUFFIXES
from monai_proto.preparation.isic.case import IsicCase
from monai_proto.preparation.split_words import SPLIT_WORDS

__all__ = ["IsicFiles", "find_isic_files", "read_class_folders"]

_TABLE_SUFFIXES = (".csv", ".tsv", ".tab")
_MASK_SUFFIX = "_segmentation"
_MASK_FOLDER = re.compile(r"masks?$|segmentations?|task1_\w*groundtruth", re.IGNORECASE)
# of ISIC 2017 and 2018: neither images nor lesion masks
_OTHER_PICTURES = re.compile(r"_superpixels$|_attribute_\w+$", re.IGNORECASE)


@dataclass
class IsicFiles:
    """
    What a folder holds; paths are relative to it, with forward slashes, in order of their names.

    Args:
        images: every image that is no mask.
        masks: lesion mask of each image id; the first one where there are several.
        tables: CSV and tab-separated files.
        remarks: what was ignored, and how much of it.
    """

    images: list[str] = field(default_factory=list)
    masks: dict[str, str] = field(default_factory=dict)
    tables: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def find_isic_files(root: Path) -> IsicFiles:
    """
    Look through a folder and all folders in it.

    A lesion mask is an image named ``<image id>_segmentation.png``, or ``<image id>.png`` in a folder whose name ends
    in ``masks`` or speaks of segmentation.

    Args:
        root: the folder.

    Raises:
        ValueError: when there is no such folder.
    """
    if not root.is_dir():
        raise ValueError(f"--source {root} is not a folder.")
    found = IsicFiles()
    ignored = {"side files of macOS (AppleDouble, ._*)": 0, "superpixel and attribute pictures": 0, "further masks": 0}
    for file in _walk(root):
        path = PurePosixPath(file)
        if is_apple_double(path):
            ignored["side files of macOS (AppleDouble, ._*)"] += 1
        elif path.suffix.lower() in _TABLE_SUFFIXES or (not path.suffix and path.name.lower().endswith("metadata")):
            found.tables.append(file)
        elif path.suffix.lower() not in PICTURE_SUFFIXES:
            continue
        elif _OTHER_PICTURES.search(path.stem):
            ignored["superpixel and attribute pictures"] += 1
        elif path.stem.endswith(_MASK_SUFFIX) or any(_MASK_FOLDER.search(folder) for folder in path.parts[:-1]):
            if found.masks.setdefault(path.stem.removesuffix(_MASK_SUFFIX), file) != file:
                ignored["further masks"] += 1
        else:
            found.images.append(file)
    found.remarks = [f"ignored {kind}: {count}" for kind, count in ignored.items() if count]
    return found


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
    has_parts = any(path.parts[depth].lower() in SPLIT_WORDS for path in paths if len(path.parts) > depth + 1)
    stems = Counter(path.stem for path in paths)
    cases = []
    for path in paths:
        folders = path.parts[depth:-1]
        unique = stems[path.stem] == 1
        name = path.stem if unique else "-".join(path.with_suffix("").parts[depth:])
        case = IsicCase(name, str(path), mask=files.masks.get(path.stem) if unique else None)
        if has_parts:
            case.listed_in = SPLIT_WORDS.get(folders[0].lower()) if folders else None
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


def _walk(root: Path) -> Iterator[str]:
    """Relative paths in order of their names; hidden folders are left alone, links are followed."""
    for folder, folders, names in os.walk(root, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            yield Path(folder, name).relative_to(root).as_posix()


def _depth_of_common_folders(paths: Sequence[PurePosixPath]) -> int:
    """How many folders all images share, and hold nothing but the next: ``archive/data`` around the classes."""
    depth = 0
    while paths and all(len(path.parts) > depth + 1 and path.parts[depth] == paths[0].parts[depth] for path in paths):
        depth += 1
    return depth
