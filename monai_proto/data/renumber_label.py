"""Gives the structures of a label map other values."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import nibabel as nib
import numpy as np
import pooch

from monai_proto.data.dicom_nifti import write_nifti

__all__ = ["renumber_label"]


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
