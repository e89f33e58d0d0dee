"""Names of NIfTI files: which files are one, which case a file belongs to."""

from __future__ import annotations

import os
from pathlib import PurePath

__all__ = ["case_name", "is_apple_double", "is_nifti_name"]

_NIFTI_SUFFIXES = (".nii.gz", ".nii")


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
