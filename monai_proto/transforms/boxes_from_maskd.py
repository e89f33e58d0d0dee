"""Makes the two boxes of an object from its mask, for studies: annotators draw them."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

from monai.config import KeysCollection
from monai.transforms import MapTransform, Randomizable

from monai_proto.data.boxes.from_mask import boxes_from_mask, require_box_options
from monai_proto.transforms.item_name import item_name

__all__ = ["BoxesFromMaskd"]


class BoxesFromMaskd(Randomizable, MapTransform):
    """
    :func:`boxes_from_mask` of an item's mask. Only jitter is random: ``set_random_state`` makes it repeatable.

    Args:
        keys: key of the mask (1, H, W).
        small_key: where the small box is put.
        big_key: where the big box is put.
        big_margin: see :func:`boxes_from_mask`, as for the following ones.
        small_inset: distance of the small box from the object's bounding box, as a share of its side.
        jitter: largest change of either share.
        components: ``"one"``, ``"largest"`` or ``"all"``.
        small_placement: ``"inset"`` or ``"inscribed"``.
        allow_missing_keys: whether items without a mask pass as they are.

    Raises:
        ValueError: when an option is out of range, or ``keys`` names more than one mask.
    """

    def __init__(
        self,
        keys: KeysCollection = "mask",
        small_key: Hashable = "small_box",
        big_key: Hashable = "big_box",
        big_margin: float = 0.15,
        small_inset: float = 0.2,
        jitter: float = 0.0,
        components: str = "one",
        small_placement: str = "inset",
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        if len(self.keys) != 1:
            raise ValueError(f"keys must name one mask, got {self.keys}.")
        require_box_options(big_margin, small_inset, jitter, components, small_placement)
        self.small_key = small_key
        self.big_key = big_key
        self.big_margin = big_margin
        self.small_inset = small_inset
        self.jitter = jitter
        self.components = components
        self.small_placement = small_placement

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """
        Raises:
            ValueError: naming the item, when its mask has another shape, is empty, or shows several objects.
        """
        boxed = dict(data)
        for key in self.key_iterator(data):
            try:
                boxed[self.small_key], boxed[self.big_key] = boxes_from_mask(
                    data[key],
                    self.big_margin,
                    self.small_inset,
                    self.jitter,
                    self.components,
                    self.small_placement,
                    self.R,
                )
            except ValueError as error:
                raise ValueError(f"{item_name(data, [key, 'image'])}: {error}") from error
        return boxed
