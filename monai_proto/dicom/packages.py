"""The packages of the extra ``dicom``: imported where they are used, and which encodings of pixels they read."""

from __future__ import annotations

from types import ModuleType

from monai.utils import OptionalImportError, optional_import

from monai_proto.extras import install_command

__all__ = ["dicom_package", "is_decodable", "transfer_syntax_name"]


def dicom_package(name: str) -> ModuleType:
    """
    Args:
        name: module, such as ``pydicom`` or ``highdicom.seg``.

    Raises:
        OptionalImportError: when it is not installed.
    """
    module, found = optional_import(name)
    if not found:
        raise OptionalImportError(f"{name} is needed to read and write DICOM: {install_command('dicom')}")
    return module


def is_decodable(uid: str) -> bool:
    """
    Whether pydicom, with the decoders that are installed, reads pixels of this transfer syntax.

    SimpleITK reads the uncompressed, JPEG, JPEG-LS, JPEG 2000 and RLE ones by itself; pydicom and its plugins know
    those and some more, so that what pydicom cannot read, neither can.
    """
    pixels = dicom_package("pydicom.pixels")
    try:
        return bool(pixels.get_decoder(uid).is_available)
    except (NotImplementedError, ValueError):  # video, or no transfer syntax at all
        return False


def transfer_syntax_name(uid: str) -> str:
    """The name in the standard, or the UID itself where it has none."""
    return dicom_package("pydicom.uid").UID(uid).name if uid else "that the file does not name"
