"""Is a label that a client sends about the study that it names?"""

from __future__ import annotations

import os

import numpy as np
import torch
from monai.transforms import LoadImage
from PIL import Image, UnidentifiedImageError

from monai_proto.data.picture_files import PICTURE_SUFFIXES
from monai_proto.data.voxel_grid import grid_deviation

__all__ = ["is_picture", "label_problem"]

_TOLERANCE = 1e-3  # mm, as when training loads the pair


def is_picture(file: str | os.PathLike) -> bool:
    """Whether a file is a photograph, by its name."""
    return os.fspath(file).lower().endswith(PICTURE_SUFFIXES)


def label_problem(image: str | os.PathLike, label: str | os.PathLike) -> str | None:
    """
    Args:
        image: the study's image.
        label: a label map, in any format that MONAI's ``LoadImage`` reads.

    Returns:
        what is wrong with the label: unreadable, of another shape, elsewhere in space, or of values that are no
        integers from 0 on; None for a good one.
    """
    if is_picture(image) != is_picture(label):
        return f"it is a {_kind(label)}, the study a {_kind(image)}."
    return _picture_problem(image, label) if is_picture(image) else _volume_problem(image, label)


def _kind(file: str | os.PathLike) -> str:
    return "picture" if is_picture(file) else "volume"


def _picture_problem(image: str | os.PathLike, label: str | os.PathLike) -> str | None:
    try:
        with Image.open(label) as mask:
            mask.load()
            size = mask.size
    except (OSError, UnidentifiedImageError, SyntaxError) as error:
        return f"it cannot be read: {error}"
    with Image.open(image) as picture:
        expected = picture.size
    return (
        None if size == expected else f"it has {size[0]} x {size[1]} pixels, the image {expected[0]} x {expected[1]}."
    )


def _volume_problem(image: str | os.PathLike, label: str | os.PathLike) -> str | None:
    load = LoadImage(image_only=True)
    try:
        mask = load(label)
    except Exception as error:
        return f"it cannot be read: {error.__cause__ or error}"
    volume = load(image)
    shape = tuple(mask.shape[:3]) if mask.ndim == 4 and mask.shape[3] == 1 else tuple(mask.shape)
    if shape != tuple(volume.shape[:3]):
        return f"it has the shape {shape}, the image {tuple(volume.shape[:3])}."
    distance = grid_deviation(shape, np.asarray(volume.affine), np.asarray(mask.affine))
    if not distance <= _TOLERANCE:  # written so that a NaN is a mismatch
        return f"it lies elsewhere: corners of label and image are {distance:.3g} mm apart."
    values = torch.unique(mask.as_tensor())
    wrong = [value for value in values.tolist() if value != int(value) or value < 0]
    return f"it has the values {wrong[:5]}, expected integers from 0 on." if wrong else None
