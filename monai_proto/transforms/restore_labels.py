"""Lays label maps on the grid that their image had on disk."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform

__all__ = ["RestoreLabelsd", "restore_labels"]

_ALIGNMENT_TOLERANCE = 1e-3  # voxels across the whole volume


class RestoreLabelsd(MapTransform):
    """
    Undoes ``Orientationd`` and ``Spacingd`` for a label map, by the nearest voxel.

    ``Invertd`` does the same with a float grid of three coordinates for every voxel of the image, 2 GB and more for
    512 x 512 x 600 voxels; here indices are taken along one axis after the other, and nothing but labels is made.

    Args:
        keys: keys of label maps (1, *spatial), ``MetaTensor`` with an affine.
        image_key: key of the image that ``LoadImaged`` read; its meta data say what grid it had on disk.
    """

    def __init__(self, keys: KeysCollection, image_key: str = "image") -> None:
        super().__init__(keys)
        self.image_key = image_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """
        Raises:
            ValueError: when the image has no ``original_affine`` and ``spatial_shape``, or see :func:`restore_labels`.
        """
        restored = dict(data)
        meta = getattr(data[self.image_key], "meta", {})
        if "original_affine" not in meta or "spatial_shape" not in meta:
            raise ValueError(
                f"{self.image_key} must have original_affine and spatial_shape in its meta data, as LoadImaged sets "
                f"them, got {sorted(map(str, meta))}."
            )
        shape, affine = [int(size) for size in meta["spatial_shape"]][:3], np.asarray(meta["original_affine"])
        for key in self.key_iterator(data):
            labels = data[key]
            plain = labels.as_tensor() if isinstance(labels, MetaTensor) else labels
            on_grid = restore_labels(plain[0], np.asarray(labels.affine), shape, affine)
            kept = {name: value for name, value in meta.items() if name != "affine"}
            restored[key] = MetaTensor(on_grid[None], affine=torch.as_tensor(affine), meta=kept)
        return restored


def restore_labels(
    labels: torch.Tensor, affine: np.ndarray, shape: Sequence[int], target_affine: np.ndarray
) -> torch.Tensor:
    """
    The label of the nearest voxel for every voxel of another grid; beyond the label map, that of its border.

    Args:
        labels: label map (X, Y, Z).
        affine: its voxel indices to mm (4, 4).
        shape: voxels of the other grid.
        target_affine: its voxel indices to mm (4, 4), in the same world; its axes are parallel to those of the label
            map, in any order and direction.

    Returns:
        labels on the other grid, of the same type.

    Raises:
        ValueError: when the axes are not parallel.
    """
    relation = np.linalg.inv(affine) @ target_affine
    source_axes = np.abs(relation[:3, :3]).argmax(axis=1)
    across = relation[:3, :3].copy()
    across[np.arange(3), source_axes] = 0
    if sorted(source_axes) != [0, 1, 2] or np.abs(across * np.asarray(shape)).max() > _ALIGNMENT_TOLERANCE:
        raise ValueError(
            "the axes of the label map and of the image must be parallel (the image is only turned by quarters and "
            f"resampled along its axes), got the relation {relation[:3, :3].round(4).tolist()}."
        )
    for axis, source in enumerate(source_axes):
        place = relation[axis, source] * np.arange(shape[source]) + relation[axis, 3]
        index = np.clip(np.rint(place), 0, labels.shape[axis] - 1).astype(np.int64)
        labels = labels.index_select(axis, torch.from_numpy(index).to(labels.device))
    return labels.permute(*np.argsort(source_axes).tolist()).contiguous()
