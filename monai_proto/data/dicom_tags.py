"""Reads single values of a DICOM header that the user asked to carry over."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable
from typing import Any

from monai_proto.data.dicom_packages import dicom_package

__all__ = ["read_tags", "require_tags"]


def require_tags(names: Iterable[str]) -> None:
    """
    Raises:
        ValueError: for a name that is neither a DICOM keyword nor a tag such as ``0019,100A``.
    """
    for name in names:
        try:
            _tag(name)
        except (ValueError, TypeError, OverflowError) as error:
            raise ValueError(f"--keep-tags: {name!r} is neither a DICOM keyword nor a tag like 0019,100A.") from error


def read_tags(file: str | os.PathLike, names: Iterable[str]) -> dict[str, str]:
    """The values as text by name; those that the file does not have are left out."""
    names = list(names)
    if not names:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = dicom_package("pydicom").dcmread(os.fspath(file), stop_before_pixels=True)
        values = {name: dataset.get(_tag(name)) for name in names}
        return {name: str(value.value) for name, value in values.items() if value is not None}


def _tag(name: str) -> Any:
    tag = dicom_package("pydicom.tag").Tag
    return tag(*(int(part, 16) for part in name.split(","))) if "," in name else tag(name)
