"""Loads an image and its label and refuses a pair that cannot be what the user meant."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import torch
from monai.config import KeysCollection
from monai.transforms import LoadImaged, MapTransform

from monai_proto.data.voxel_grid import grid_deviation

__all__ = ["CheckLabeld", "LoadVolumesd"]

_AFFINE_TOLERANCE = 1e-3  # mm


class LoadVolumesd(LoadImaged):
    """
    MONAI's ``LoadImaged`` (channel first), with errors that name the file: one that does not exist or cannot be read
    to its end, values that are not finite, and keys whose files have different shapes or affines.

    Args:
        keys: keys of file names; with several, all must lie on the grid of the first.
        kwargs: further arguments of ``LoadImaged``, such as ``reader`` or ``allow_missing_keys``.
    """

    def __init__(self, keys: KeysCollection, **kwargs: Any) -> None:
        super().__init__(keys, ensure_channel_first=True, image_only=True, **kwargs)

    def __call__(self, data: Mapping[Hashable, Any], reader: Any | None = None) -> dict[Hashable, Any]:
        """
        Raises:
            ValueError: naming the file and what is wrong with it.
        """
        loaded = dict(data)
        keys = list(self.key_iterator(data))
        for key in keys:
            name = data[key]
            try:
                loaded[key] = self._loader(name, reader)
            except Exception as error:
                cause = error.__cause__ or error
                raise ValueError(f"{key} file {name} cannot be read: {cause}") from error
            if not torch.isfinite(loaded[key]).all():
                raise ValueError(f"{key} file {name} holds values that are NaN or infinite.")
        for key in keys[1:]:
            _require_same_grid(loaded[keys[0]], loaded[key], data[keys[0]], data[key])
        return loaded


class CheckLabeld(MapTransform):
    """
    Raises a ``ValueError`` that names the file when a label map holds anything but the integers 0 .. C-1.

    Args:
        keys: keys of label maps (1, *spatial).
        num_classes: number C of classes, with the background.
        allow_missing_keys: whether an item may lack the keys, as unlabelled ones do.
    """

    def __init__(self, keys: KeysCollection, num_classes: int, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.num_classes = num_classes

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        for key in self.key_iterator(data):
            values = torch.unique(torch.as_tensor(data[key]))
            wrong = [v for v in values.tolist() if v != int(v) or not 0 <= v < self.num_classes]
            if wrong:
                name = getattr(data[key], "meta", {}).get("filename_or_obj", key)
                raise ValueError(
                    f"{key} file {name} has the values {wrong[:5]}, but labels are integers in "
                    f"0 .. {self.num_classes - 1}."
                )
        return dict(data)


def _require_same_grid(image: Any, other: Any, image_name: str, other_name: str) -> None:
    if image.shape[1:] != other.shape[1:]:
        raise ValueError(
            f"{other_name} has shape {tuple(other.shape[1:])}, but its image {image_name} has {tuple(image.shape[1:])}."
        )
    distance = grid_deviation(image.shape[1:], image.affine, other.affine)
    if not distance <= _AFFINE_TOLERANCE:  # written so that a NaN is a mismatch
        raise ValueError(
            f"{other_name} and its image {image_name} have different affines: "
            f"their corners lie {distance:.3g} mm apart."
        )
