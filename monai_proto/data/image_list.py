"""Which images to run inference on."""

from __future__ import annotations

import os
from pathlib import Path

from monai_proto.data.datalist import DATALIST_NAME, load_semi_supervised_datalist, read_datalist

__all__ = ["list_images"]


def list_images(dataset_dir: str | os.PathLike) -> list[dict[str, str]]:
    """
    The images of a folder: of its data list the ``test`` part, else the ``validation`` part; without a data list every
    NIfTI file in it, or in its ``imagesTs``.

    Args:
        dataset_dir: folder with a ``dataset.json`` or with ``*.nii.gz`` or ``*.nii`` files.

    Returns:
        ``{"image": path}`` for each, sorted by name where there is no data list.

    Raises:
        ValueError: when the folder does not exist or holds no image.
    """
    folder = Path(dataset_dir)
    if not folder.is_dir():
        raise ValueError(f"dataset_dir {folder} is not a folder.")
    if (folder / DATALIST_NAME).is_file():
        items = read_datalist(folder).get("test") or load_semi_supervised_datalist(folder, None)["validation"]
        return [{"image": str(item["image"])} for item in items]
    for place in (folder, folder / "imagesTs"):
        files = [f for f in sorted(place.glob("*.nii*")) if f.name.endswith((".nii", ".nii.gz")) and f.name[0] != "."]
        if files:
            return [{"image": str(file)} for file in files]
    raise ValueError(f"dataset_dir {folder} holds neither {DATALIST_NAME} nor NIfTI images.")
