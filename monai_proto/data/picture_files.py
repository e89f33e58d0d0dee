"""Pictures (PNG, JPEG, TIFF, BMP): finds them in a folder, and reads one or says why it cannot be read."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from monai_proto.data.color_image import describe_conversion, read_color_image
from monai_proto.data.image_hash import pixel_hash

__all__ = ["Picture", "PictureFolder", "read_mask_picture", "read_picture"]

_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
_SINGLE_CHANNEL_MODES = ("1", "L", "I", "I;16", "F")


@dataclass(frozen=True)
class Picture:
    """
    What is known of a picture after all of it was read.

    Args:
        size: (H, W) in pixels, the right way up; None when it cannot be read.
        pixel_hash: the same for the same picture in another file format.
        problems: why it cannot be used.
        notes: what its user should know.
    """

    size: tuple[int, int] | None = None
    pixel_hash: str = ""
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


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
        found = (path for path in self.root.rglob("*") if path.suffix.lower() in _SUFFIXES)
        self.files = sorted(path for path in found if path.is_file() and not path.name.startswith("."))
        if not self.files:
            raise ValueError(f"Folder {root} holds no picture ({', '.join(_SUFFIXES)}).")
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


def read_picture(file: str | os.PathLike) -> Picture:
    """Read all of a picture as :func:`read_color_image` does for training; it must not be of a single colour."""
    try:
        image = read_color_image(file)
        notes = describe_conversion(file)
    except ValueError as error:
        return Picture(problems=[f"unreadable: {_short(error, file)}"])
    constant = all(low == high for low, high in image.getextrema())
    problems = ["image is of a single colour"] if constant else []
    return Picture((image.height, image.width), pixel_hash(image), problems, notes)


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
        return None, [f"unreadable mask ({type(error).__name__}: {_short(error, file)})"], []
    if pixels.dtype == bool:
        return pixels, [], []
    values = np.unique(pixels)
    if len(values) <= 2:
        return pixels > 0 if len(values) == 1 else pixels == values[-1], [], []
    note = f"mask has {len(values)} grey values, object taken from half of the highest, {values[-1] / 2:g}, on"
    return pixels >= values[-1] / 2, [], [note]


def _short(error: Exception, file: str | os.PathLike) -> str:
    return str(error).replace(os.fspath(file), Path(file).name).replace("\n", " ").strip()
