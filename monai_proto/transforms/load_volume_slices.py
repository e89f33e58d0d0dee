"""Loads one slice of a NIfTI volume as a picture, with the mask of one object."""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from monai.transforms import Transform
from nibabel.spatialimages import SpatialImage

from monai_proto.data.nifti import load_spatial_image
from monai_proto.data.voxel_grid import grid_deviation
from monai_proto.transforms.grey_range import grey_range, to_grey

__all__ = ["LoadVolumeSliced"]

_AFFINE_TOLERANCE = 1e-3  # mm


class LoadVolumeSliced(Transform):
    """
    An item of :func:`monai_proto.data.load_boxed_slices` -> ``image``, MetaTensor (3, H, W), float32, 0 .. 255, and,
    where it names a mask, ``mask``, MetaTensor (1, H, W), float32, 1 where the label map has one of ``label_values``.

    Rows and columns are the volume's other two axes as stored, see :func:`monai_proto.data.volume_slice`. Only the
    slice is kept in memory. ``filename_or_obj`` in the meta data names file, axis and slice, for messages and pictures.

    Args:
        window, percentiles: how intensities become grey values, see :func:`grey_range`. Percentiles are those of the
            volume; they are found once a process and volume.
        image_key: key of the image.
        mask_key: key of the mask.
    """

    def __init__(
        self,
        window: Sequence[float] | None = None,
        percentiles: Sequence[float] = (1.0, 99.0),
        image_key: Hashable = "image",
        mask_key: Hashable = "mask",
    ) -> None:
        self.window = None if window is None else tuple(window)
        self.percentiles = tuple(percentiles)
        self.image_key = image_key
        self.mask_key = mask_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """
        Raises:
            ValueError: naming the file: it cannot be read, has no such slice, the slice is of one value or not finite,
                the mask lies on another grid, or shows nothing of the object.
        """
        file, axis, index = data[self.image_key], int(data["axis"]), int(data["slice"])
        volume = _open(file, "image")
        picture = _read_slice(volume, file, axis, index)
        name = f"{file} axis {axis} slice {index}"
        if not np.isfinite(picture).all():
            raise ValueError(f"image {name} holds values that are NaN or infinite.")
        if picture.min() == picture.max():
            raise ValueError(f"image {name} is empty: every pixel is {picture.flat[0]:g}.")
        grey = to_grey(torch.from_numpy(picture.astype(np.float32)), *self._range(file))
        loaded = {**data, self.image_key: MetaTensor(grey.expand(3, -1, -1).clone(), meta={"filename_or_obj": name})}
        if data.get(self.mask_key):
            loaded[self.mask_key] = self._mask(data, volume, name)
        return loaded

    def _range(self, file: str) -> tuple[float, float]:
        try:
            if self.window is not None:
                return grey_range(None, self.window)
            return _percentile_range(os.fspath(file), os.stat(file).st_mtime_ns, self.percentiles)
        except ValueError as error:
            raise ValueError(f"image {file}: {error}.") from error

    def _mask(self, data: Mapping[Hashable, Any], volume: SpatialImage, name: str) -> MetaTensor:
        file, values = data[self.mask_key], data["label_values"]
        labels = _open(file, "mask")
        if labels.shape[:3] != volume.shape[:3]:
            raise ValueError(f"mask {file} has shape {labels.shape}, but its image {name} has {volume.shape}.")
        distance = grid_deviation(volume.shape, volume.affine, labels.affine)
        if not distance <= _AFFINE_TOLERANCE:  # written so that a NaN is a mismatch
            raise ValueError(
                f"mask {file} and image {name} have different affines: their corners lie {distance:.3g} mm apart."
            )
        mask = np.isin(_read_slice(labels, file, int(data["axis"]), int(data["slice"])), values)
        if not mask.any():
            raise ValueError(f"mask {file} shows nothing of label {'+'.join(map(str, values))} where image {name} is.")
        # like the image: MONAI cannot collate plain tensors with those that padding made MetaTensors
        return MetaTensor(torch.from_numpy(mask.astype(np.float32))[None], meta={"filename_or_obj": str(file)})


def _open(file: str, what: str) -> SpatialImage:
    try:
        return load_spatial_image(file)
    except Exception as error:  # what a reader raises on damaged bytes is not limited to a few types
        raise ValueError(f"{what} file {file} cannot be read: {error}") from error


def _read_slice(volume: SpatialImage, file: str, axis: int, index: int) -> np.ndarray:
    shape = volume.shape
    if len(shape) != 3 and shape[3:] != (1,):
        raise ValueError(f"{file} must be 3-D, got shape {shape}.")
    if axis not in (0, 1, 2) or not 0 <= index < shape[axis]:
        raise ValueError(f"{file} of shape {shape} has no slice {index} along axis {axis}.")
    places = tuple(index if other == axis else slice(None) for other in range(3)) + (0,) * (len(shape) - 3)
    try:
        return np.asarray(volume.dataobj[places])
    except Exception as error:
        raise ValueError(f"file {file} cannot be read: {error}") from error


@lru_cache(maxsize=65536)
def _percentile_range(file: str, changed: int, percentiles: tuple[float, ...]) -> tuple[float, float]:
    """Of the whole volume; ``changed`` is the file's time, so that a new file under the name is read again."""
    return grey_range(_open(file, "image").dataobj, None, percentiles)
