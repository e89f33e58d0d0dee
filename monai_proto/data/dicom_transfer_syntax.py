"""Which encodings of pixels the installed libraries can read."""

from __future__ import annotations

from monai_proto.data.dicom_packages import dicom_package

__all__ = ["is_decodable", "transfer_syntax_name"]


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
