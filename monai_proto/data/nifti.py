"""NIfTI files: which are one, read into memory or why that cannot be done, written whole or not at all."""

from __future__ import annotations

import gzip
import hashlib
import os
import secrets
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePath

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError, HeaderTypeError

__all__ = [
    "Volume",
    "VolumeProblem",
    "case_name",
    "is_apple_double",
    "is_nifti_name",
    "read_volume",
    "shape_text",
    "voxel_hash",
    "write_nifti",
]

_BLOCK_BYTES = 1 << 20
# what gzip, zlib, nibabel and numpy raise for files that are cut off, overwritten, or not NIfTI at all
_READ_ERRORS = (
    EOFError,
    OSError,
    zlib.error,
    ImageFileError,
    HeaderDataError,
    HeaderTypeError,
    ValueError,
    MemoryError,
)
_NIFTI_SUFFIXES = (".nii.gz", ".nii")


@dataclass(frozen=True)
class VolumeProblem:
    """
    What is wrong with a file.

    Args:
        file: path of the file, as it was given to the check.
        message: what was found, and what was expected.
        is_warning: True when the case can be used all the same.
    """

    file: str
    message: str
    is_warning: bool = False


@dataclass(frozen=True)
class Volume:
    """
    A NIfTI file in memory.

    Args:
        file: path of the file.
        data: voxels (X, Y, Z) or (X, Y, Z, channels), scaled by the header's slope and intercept.
        affine: (4, 4), from voxel indices to millimetres in RAS+ world coordinates.
    """

    file: str
    data: np.ndarray
    affine: np.ndarray


def read_volume(file: str | os.PathLike) -> tuple[Volume | None, list[VolumeProblem]]:
    """
    Read all voxels of a file.

    Returns:
        the volume and no problem, or None and what hindered reading.
    """
    name = os.fspath(file)
    try:
        _read_gzip_to_its_end(file)
        image = nib.load(file, mmap=False)
        data = np.asanyarray(image.dataobj)
    except _READ_ERRORS as error:
        detail = str(error).replace(name, Path(name).name).replace("\n", " ").strip()
        return None, [VolumeProblem(name, f"unreadable ({type(error).__name__}: {detail})")]
    if data.dtype.kind not in "biuf" or data.size == 0:
        return None, [VolumeProblem(name, f"holds no numbers: shape {shape_text(data.shape)}, voxel type {data.dtype}")]
    return Volume(name, data, np.asarray(image.affine, dtype=float)), []


def voxel_hash(volume: Volume) -> str:
    """
    SHA-256 of shape and voxel values: the same for copies that were compressed again or stored in another type.

    The affine takes no part: a copy that only differs in its header is still the same picture.
    """
    digest = hashlib.sha256(repr(volume.data.shape).encode())
    for index in range(volume.data.shape[-1]):  # slice by slice: a second whole volume would double the memory
        digest.update(np.ascontiguousarray(volume.data[..., index], dtype="<f8"))
    return digest.hexdigest()


def shape_text(shape: tuple[int, ...]) -> str:
    """A shape as a person reads it, for instance ``512x512x94``."""
    return "x".join(map(str, shape))


def is_nifti_name(file: str | os.PathLike) -> bool:
    """Whether the name ends in ``.nii`` or ``.nii.gz``, in any case of letters; the content is not looked at."""
    return PurePath(file).name.lower().endswith(_NIFTI_SUFFIXES)


def is_apple_double(file: str | os.PathLike) -> bool:
    """Whether the name is that of macOS's side file (``._name``), which archives made on a Mac hold by the hundred."""
    return PurePath(file).name.startswith("._")


def case_name(file: str | os.PathLike) -> str:
    """
    The case that a file belongs to: its name without folder and without ``.nii`` or ``.nii.gz``.

    Example::

        >>> case_name("imagesTr/hippocampus_003.nii.gz")
        'hippocampus_003'
    """
    name = PurePath(file).name
    for suffix in _NIFTI_SUFFIXES:
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name


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


def _read_gzip_to_its_end(file: str | os.PathLike) -> None:
    """nibabel stops at the last voxel and so never sees the checksum: a file that lost its last bytes would pass."""
    if os.fspath(file).lower().endswith(".gz"):
        with gzip.open(file) as stream:
            while stream.read(_BLOCK_BYTES):
                pass
