"""Label maps: one made of several masks that may overlap, and one with other values."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import nibabel as nib
import numpy as np
import pooch

from monai_proto.data.nifti import write_nifti

__all__ = ["paint_masks", "renumber_label"]


def paint_masks(
    masks: Mapping[str, np.ndarray], values: Mapping[str, int], shape: tuple[int, int, int]
) -> tuple[np.ndarray, list[str]]:
    """
    One label map of several masks, large ones first, so that a small structure inside of a large one stays visible.

    Args:
        masks: boolean mask (X, Y, Z) of each structure.
        values: label value of each structure.
        shape: of the label map.

    Returns:
        label map, uint8 or uint16, and, where masks overlap, a note.
    """
    label = np.zeros(shape, np.uint8 if max(values.values()) < 256 else np.uint16)
    overlap = 0
    for name in sorted(masks, key=lambda name: (-int(masks[name].sum()), name)):
        overlap += int(np.count_nonzero(label[masks[name]]))
        label[masks[name]] = values[name]
    return label, [f"structures overlap in {overlap} voxels: the smaller one stays"] if overlap else []


def renumber_label(source: Path, target: Path, numbers: Mapping[int, int]) -> str:
    """
    Write a label map with other values.

    Args:
        source: label map.
        target: new file.
        numbers: new value of each of its values; 0 stays.

    Returns:
        SHA-256 of the new file.
    """
    image = nib.load(source)
    table = np.zeros(max(numbers) + 1, np.uint8 if max(numbers.values()) < 256 else np.uint16)
    for old, new in numbers.items():
        table[old] = new
    write_nifti(target, table[np.asarray(image.dataobj)], image.affine)
    return pooch.file_hash(str(target), "sha256")
