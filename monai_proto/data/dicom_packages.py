"""Imports the packages of the optional extra ``dicom`` where they are used, and says how to get them."""

from __future__ import annotations

from types import ModuleType

from monai.utils import OptionalImportError, optional_import

__all__ = ["dicom_package"]


def dicom_package(name: str) -> ModuleType:
    """
    Args:
        name: module, such as ``pydicom`` or ``highdicom.seg``.

    Raises:
        OptionalImportError: when it is not installed.
    """
    module, found = optional_import(name)
    if not found:
        raise OptionalImportError(f"{name} is needed to read and write DICOM: pip install 'monai-proto[dicom]'")
    return module
