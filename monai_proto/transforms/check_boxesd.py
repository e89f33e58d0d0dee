"""Checks the two boxes of an item where it is loaded."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import torch
from monai.transforms import MapTransform

from monai_proto.data.boxes.checks import check_boxes
from monai_proto.transforms.item_name import item_name

__all__ = ["CheckBoxesd"]


class CheckBoxesd(MapTransform):
    """
    Checks the two boxes of an item against each other and against its image, and makes them tensors: a data list holds
    them as lists, which a data loader would collate by corner and not by item.

    Args:
        keys: key of the image (C, H, W), loaded.
        small_key: key of the box inside of the object.
        big_key: key of the box around the object.
        allow_missing_keys: whether an item may lack the image; its boxes are then checked against each other only.
    """

    def __init__(
        self,
        keys: Hashable = "image",
        small_key: Hashable = "small_box",
        big_key: Hashable = "big_box",
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.small_key = small_key
        self.big_key = big_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """
        Returns:
            the item with both boxes as float32 (4,).

        Raises:
            ValueError: naming the item, and what is wrong with its boxes.
        """
        checked = dict(data)
        keys = list(self.key_iterator(data))
        name = item_name(data, keys)
        for key in (self.small_key, self.big_key):
            if key not in data:
                raise ValueError(f"{name} has no {key}.")
            checked[key] = torch.as_tensor(data[key], dtype=torch.float32)
        for key in keys or [None]:
            image_size = None if key is None else data[key].shape[-2:]
            check_boxes(checked[self.small_key], checked[self.big_key], image_size, name)
        return checked
