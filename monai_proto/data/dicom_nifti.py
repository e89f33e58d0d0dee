"""Writes voxels of a DICOM series as NIfTI, whole or not at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import nibabel as nib
import numpy as np

__all__ = ["write_nifti"]


def write_nifti(file: str | os.PathLike, voxels: np.ndarray, affine: np.ndarray) -> None:
    """
    Write a file that holds voxels and their place, and nothing else of what the DICOM headers said.

    Args:
        file: new ``.nii.gz`` file, which appears when it is complete.
        voxels: (X, Y, Z).
        affine: voxel indices to mm in RAS+ coordinates (4, 4).
    """
    file = Path(file)
    image = nib.Nifti1Image(voxels, affine)
    image.header.set_xyzt_units("mm")
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=1)
    partial = file.with_name(f".{secrets.token_hex(4)}.partial.nii.gz")
    try:
        nib.save(image, partial)
        os.replace(partial, file)
    finally:
        partial.unlink(missing_ok=True)
