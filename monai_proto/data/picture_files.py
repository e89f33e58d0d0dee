"""Pictures (PNG, JPEG, TIFF, BMP, WebP): found in a folder, masks read and written, safe file names."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from monai.data import PILWriter
from PIL import Image, ImageOps

__all__ = [
    "PICTURE_SUFFIXES",
    "MaskPictureWriter",
    "PictureFolder",
    "picture_name",
    "read_mask_picture",
    "safe_file_name",
    "short_message",
]

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
_SINGLE_CHANNEL_MODES = ("1", "L", "I", "I;16", "F")


class PictureFolder:
    """
    The pictures of a folder and of the folders in it, found by path, file name, or file name without suffix.

    Args:
        root: the folder.

    Raises:
        ValueError: when it is no folder or holds no picture.
    """

    def __init__(self, root: str | os.PathLike) -> None:
        self.root = Path(root)
        if not self.root.is_dir():
            raise ValueError(f"Images folder {root} is not a folder.")
        found = (path for path in self.root.rglob("*") if path.suffix.lower() in PICTURE_SUFFIXES)
        self.files = sorted(path for path in found if path.is_file() and not path.name.startswith("."))
        if not self.files:
            raise ValueError(f"Folder {root} holds no picture ({', '.join(PICTURE_SUFFIXES)}).")
        self._by_name: dict[str, list[Path]] = {}
        for file in self.files:
            for name in {file.relative_to(self.root).as_posix(), self.case_of(file), file.name, file.stem}:
                self._by_name.setdefault(name, []).append(file)

    def case_of(self, file: Path) -> str:
        """Unique name of a picture: its path below the folder, without suffix."""
        return file.relative_to(self.root).with_suffix("").as_posix()

    def find(self, name: str) -> tuple[Path | None, str]:
        """
        Args:
            name: path relative to the folder, or file name, either with or without suffix.

        Returns:
            the file and no problem, or None and why not.
        """
        files = self._by_name.get(name.strip().replace("\\", "/").removeprefix("./"), [])
        if len(files) == 1:
            return files[0], ""
        if not files:
            return None, f"image {name} is missing from {self.root}"
        return None, f"image name {name} fits {len(files)} files, such as {files[0]} and {files[1]}"


def picture_name(cell: str) -> str:
    """The picture that a table means: a file name without folder and suffix, or an id, which stays as it is."""
    path = PurePosixPath(cell.strip().replace("\\", "/"))
    return path.stem if path.suffix.lower() in PICTURE_SUFFIXES else cell.strip()


def read_mask_picture(file: str | os.PathLike) -> tuple[np.ndarray | None, list[str], list[str]]:
    """
    Read a binary mask: the brighter of two values is the object; of more values, those from half of the highest on.

    Returns:
        bool (H, W) or None, problems, notes.
    """
    try:
        with Image.open(file) as image:
            upright = ImageOps.exif_transpose(image)
            pixels = np.asarray(upright if upright.mode in _SINGLE_CHANNEL_MODES else upright.convert("L"))
    except Exception as error:  # what a decoder raises on damaged bytes is not limited to a few types
        return None, [f"unreadable mask ({type(error).__name__}: {short_message(error, file)})"], []
    if pixels.dtype == bool:
        return pixels, [], []
    values = np.unique(pixels)
    if len(values) <= 2:
        return pixels > 0 if len(values) == 1 else pixels == values[-1], [], []
    note = f"mask has {len(values)} grey values, object taken from half of the highest, {values[-1] / 2:g}, on"
    return pixels >= values[-1] / 2, [], [note]


def short_message(error: Exception, file: str | os.PathLike) -> str:
    """What an error says, in one line, the file by its name alone."""
    return str(error).replace(os.fspath(file), Path(file).name).replace("\n", " ").strip()


def safe_file_name(image_id: str, suffix: str = ".png") -> str:
    """A file name for an image's id: readable, safe on every file system, another one for every id."""
    readable = re.sub(r"[^A-Za-z0-9._-]+", "_", image_id).strip("._")[-60:]
    return f"{readable}_{hashlib.sha256(image_id.encode()).hexdigest()[:8]}{suffix}"


class MaskPictureWriter(PILWriter):
    """
    ``writer`` of MONAI's ``SaveImaged`` for masks of images that :class:`LoadColorImaged` loaded: rows stay rows, where
    MONAI's ``PILWriter`` swaps them with columns, and the object is white.
    """

    @classmethod
    def create_backend_obj(cls, data_array: Any, **kwargs: Any) -> Image.Image:
        """
        Args:
            data_array: (H, W), the object where above 0.
            kwargs: MONAI's, of no effect here.
        """
        return Image.fromarray(np.where(np.asarray(data_array) > 0, 255, 0).astype(np.uint8))
