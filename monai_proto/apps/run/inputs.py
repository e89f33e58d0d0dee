"""The images that a person wants answers for: a file, or a folder with folders in it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from monai_proto.data.datalist import DATALIST_NAME, common_image_folder, list_images
from monai_proto.data.nifti import case_name, is_apple_double, is_nifti_name

__all__ = ["find_volume_images", "result_name"]


def find_volume_images(source: str | os.PathLike) -> list[dict[str, str]]:
    """
    Args:
        source: NIfTI file; a folder with a data list, whose ``test`` part, else ``validation``, is taken; or a folder
            with NIfTI files in it and in the folders below, whose labels must not lie there.

    Returns:
        items with an absolute path ``image``.

    Raises:
        ValueError: when there is no NIfTI image, or two would get results of one name.
    """
    source = Path(source).absolute()
    if source.is_file():
        if not is_nifti_name(source):
            raise ValueError(f"--input {source} is no NIfTI file (.nii, .nii.gz).")
        return [{"image": str(source)}]
    if not source.is_dir():
        raise ValueError(f"--input {source} is neither a file nor a folder.")
    if (source / DATALIST_NAME).is_file():
        items = [{"image": str(item["image"])} for item in list_images(source)]
    else:
        found = (file for file in sorted(source.rglob("*")) if file.is_file() and is_nifti_name(file))
        items = [{"image": str(file)} for file in found if not is_apple_double(file) and file.name[0] != "."]
    if not items:
        raise ValueError(f"--input {source} holds no NIfTI image.")
    common_image_folder(items)  # raises where two differ in nothing but their suffix
    return items


def result_name(item: dict[str, Any], items: list[dict[str, Any]]) -> str:
    """Name of an image's result without suffix: its path below the folder that all images share."""
    path = os.path.relpath(os.path.abspath(item["image"]), common_image_folder(items))
    name = case_name(path) if is_nifti_name(path) else Path(path).stem
    return Path(path).with_name(name).as_posix()
