"""Brings CT and MR intensities to the grey values of a picture."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform

from monai_proto.transforms.item_name import item_name

__all__ = ["INTENSITY_WINDOWS", "VolumeToGreyd", "grey_range", "intensity_window", "to_grey"]

INTENSITY_WINDOWS: dict[str, tuple[float, float] | None] = {"ct": (-160.0, 240.0), "mr": None}
"""Soft tissue in HU; None for percentiles of the volume, since MR intensities have no unit."""


def intensity_window(modality: str) -> tuple[float, float] | None:
    """
    The default window of a modality.

    Args:
        modality: ``"ct"`` or ``"mr"``.

    Raises:
        ValueError: for another one.
    """
    if modality not in INTENSITY_WINDOWS:
        raise ValueError(f"modality must be one of {tuple(INTENSITY_WINDOWS)}, got {modality!r}.")
    return INTENSITY_WINDOWS[modality]


def grey_range(
    voxels: Any, window: Sequence[float] | None = None, percentiles: Sequence[float] = (1.0, 99.0)
) -> tuple[float, float]:
    """
    What becomes black and what becomes white.

    Args:
        voxels: the whole volume, so that all of its slices look alike.
        window: lowest and highest value, such as HU of a CT; None to take percentiles.
        percentiles: of the voxels, 0 .. 100.

    Raises:
        ValueError: when voxels are NaN or infinite, or the volume has no contrast.
    """
    if window is not None:
        low, high = (float(value) for value in window)
        if not low < high:
            raise ValueError(f"window must be (lowest, highest), got {tuple(window)}")
        return low, high
    low, high = (float(value) for value in np.percentile(np.asarray(voxels, dtype=np.float32), percentiles))
    if not np.isfinite([low, high]).all():
        raise ValueError("voxels are NaN or infinite")
    if low == high:
        raise ValueError(f"the volume has no contrast: percentiles {tuple(percentiles)} are both {low:g}")
    return low, high


def to_grey(voxels: torch.Tensor, low: float, high: float) -> torch.Tensor:
    """
    Args:
        voxels: of any shape.
        low: what becomes 0; lower values too.
        high: what becomes 255; higher values too.

    Returns:
        float32 of the same shape, 0 .. 255.
    """
    return ((voxels.float() - low) / (high - low)).clamp(0, 1) * 255


class VolumeToGreyd(MapTransform):
    """
    A volume to the range 0 .. 255 of a picture. MONAI's ``ScaleIntensityRanged`` and
    ``ScaleIntensityRangePercentilesd`` in one, so that a bundle has one switch for CT and MR.

    Args:
        keys: keys of volumes (1, X, Y, Z).
        window, percentiles: see :func:`grey_range`.
        allow_missing_keys: whether an item may lack the keys.
    """

    def __init__(
        self,
        keys: KeysCollection,
        window: Sequence[float] | None = None,
        percentiles: Sequence[float] = (1.0, 99.0),
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.window = window
        self.percentiles = percentiles

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """
        Raises:
            ValueError: naming the file, see :func:`grey_range`.
        """
        scaled = dict(data)
        for key in self.key_iterator(data):
            try:
                scaled[key] = to_grey(data[key], *grey_range(data[key], self.window, self.percentiles))
            except ValueError as error:
                raise ValueError(f"{item_name(data, [key])}: {error}.") from error
        return scaled
