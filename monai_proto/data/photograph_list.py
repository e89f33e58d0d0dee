"""Which photographs to classify."""

from __future__ import annotations

import os
from pathlib import Path

from monai_proto.data.classification_datalist import load_classification_datalist
from monai_proto.data.datalist import DATALIST_NAME
from monai_proto.data.picture_files import PictureFolder

__all__ = ["list_photographs"]


def list_photographs(path: str | os.PathLike) -> list[dict[str, str]]:
    """
    One image file, or the images of a folder: of its data list the ``test`` part, else the ``validation`` part; without
    a data list every picture in it and in the folders below.

    Args:
        path: an image, or a folder.

    Returns:
        ``{"image": path, "image_id": name}`` for each; names are those of the data list, or the path below the folder
        without suffix.

    Raises:
        ValueError: when there is no such file or folder, or it holds no picture.
    """
    path = Path(path)
    if path.is_file() and path.name != DATALIST_NAME:
        return [{"image": str(path), "image_id": path.stem}]
    if path.is_dir() and not (path / DATALIST_NAME).is_file():
        folder = PictureFolder(path)
        return [{"image": str(file), "image_id": folder.case_of(file)} for file in folder.files]
    if not path.exists():
        raise ValueError(f"{path} is neither an image nor a folder.")
    parts = load_classification_datalist(path, required=())
    items = parts["test"] or parts["validation"]
    if not items:
        raise ValueError(f"the data list of {path} has neither a test nor a validation part.")
    return [{"image": str(item["image"]), "image_id": str(item["image_id"])} for item in items]
