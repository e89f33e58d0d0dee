"""Images, lesion masks and tables in a folder of dermoscopy images, however deep they lie."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from monai_proto.data.nifti_files import is_apple_double

__all__ = ["IsicFiles", "find_isic_files"]

_IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
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
        elif path.suffix.lower() not in _IMAGE_SUFFIXES:
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


def _walk(root: Path) -> Iterator[str]:
    """Relative paths in order of their names; hidden folders are left alone, links are followed."""
    for folder, folders, names in os.walk(root, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            yield Path(folder, name).relative_to(root).as_posix()
