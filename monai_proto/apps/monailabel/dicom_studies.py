"""Sub-folders of the studies folder that hold a DICOM series, as NIfTI files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from monai_proto.data.nifti import write_nifti
from monai_proto.dicom.pixels import read_pixels

__all__ = ["DicomStudies"]

_LOOKED_AT = 20  # files of a folder until one is DICOM


class DicomStudies:
    """
    Args:
        studies: folder whose sub-folders may be series.
        converted: folder for the NIfTI files.
        ignored: folders that are no studies.
    """

    def __init__(self, studies: Path, converted: Path, ignored: Sequence[Path] = ()) -> None:
        self.studies = studies
        self.converted = converted
        self._ignored = {os.path.realpath(folder) for folder in ignored}

    def names(self) -> list[str]:
        """Sub-folders with DICOM files; one of its first files, at any depth, tells."""
        folders = sorted(path for path in self.studies.iterdir() if path.is_dir() and path.name[0] != ".")
        return [f.name for f in folders if os.path.realpath(f) not in self._ignored and _holds_dicom(f)]

    def nifti(self, name: str) -> Path:
        """
        The series of a folder as a NIfTI file, converted when that has not been done since the folder changed.

        Raises:
            ValueError: when the folder holds no series that makes up a volume, or several.
        """
        from monai_proto.dicom.series_folder import open_series

        folder, file = self.studies / name, self.converted / f"{name}.nii.gz"
        if file.is_file() and file.stat().st_mtime >= max(p.stat().st_mtime for p in (folder, *folder.rglob("*"))):
            return file
        series = open_series(folder)
        self.converted.mkdir(parents=True, exist_ok=True)
        write_nifti(file, read_pixels(series), series.affine)
        return file


def _holds_dicom(folder: Path) -> bool:
    files = (os.path.join(path, name) for path, _, names in os.walk(folder) for name in sorted(names))
    return any(_is_dicom(file) for file, _ in zip(files, range(_LOOKED_AT), strict=False))


def _is_dicom(file: str) -> bool:
    with open(file, "rb") as stream:
        return stream.read(132)[128:] == b"DICM"
