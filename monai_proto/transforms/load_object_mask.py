"""Loads the mask of one object from a picture, on the grid of its image."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform

from monai_proto.data.picture_files import read_mask_picture

__all__ = ["LoadObjectMaskd"]


class LoadObjectMaskd(MapTransform):
    """
    File of a mask -> MetaTensor (1, H, W), float32, 0 and 1. Masks of photographs are read as ``prepare_boxes.py``
    reads them.

    Args:
        keys: keys of file names.
        image_key: the image, loaded, whose size the mask must have.
        allow_missing_keys: whether an item may lack the keys.
    """

    def __init__(self, keys: KeysCollection, image_key: Hashable = "image", allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.image_key = image_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """
        Raises:
            ValueError: naming the file, when it cannot be read, is no mask or has another size than the image.
        """
        loaded = dict(data)
        for key in self.key_iterator(data):
            pixels, problems, _ = read_mask_picture(data[key])
            if pixels is None or problems:
                raise ValueError(f"{key} file {data[key]} cannot be used: {'; '.join(problems)}.")
            expected = tuple(data[self.image_key].shape[-2:])
            if pixels.shape != expected:
                raise ValueError(
                    f"{key} file {data[key]} must have the size (H, W) {expected} of its image, got {pixels.shape}."
                )
            # like the image: MONAI cannot collate plain tensors with those that padding made MetaTensors
            loaded[key] = MetaTensor(torch.as_tensor(pixels > 0, dtype=torch.float32)[None])
            loaded[key].meta["filename_or_obj"] = str(data[key])
        return loaded
