"""Loads photographs of any mode and size as RGB, channel first and the right way up."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from functools import partial
from typing import Any, cast

import numpy as np
from monai.config import KeysCollection
from monai.data import PILReader
from monai.transforms import LoadImaged

from monai_proto.data.color_image import to_rgb

__all__ = ["LoadColorImaged"]


class LoadColorImaged(LoadImaged):
    """
    MONAI's ``LoadImaged`` for photographs: path -> MetaTensor (3, H, W), float32, 0..255, RGB.

    MONAI's ``PILReader`` by default gives (W, H) and whatever mode the file has; here rows stay rows, and every mode
    becomes RGB: EXIF rotation applied, grey-scale, palette and CMYK converted, transparency composited on white,
    16 bits scaled to 0..255 (see :func:`monai_proto.data.color_image.to_rgb`). ``filename_or_obj`` is in the meta data.

    Args:
        keys: keys of file names.
        min_size: pixels that width and height must have at least.
        allow_missing_keys: whether an item may lack the keys.

    Example::

        >>> LoadColorImaged("image")({"image": "lesion.jpg"})["image"].shape
        torch.Size([3, 450, 600])
    """

    def __init__(self, keys: KeysCollection, min_size: int = 0, allow_missing_keys: bool = False) -> None:
        reader = PILReader(converter=partial(to_rgb, min_size=min_size), reverse_indexing=False)
        super().__init__(
            keys,
            reader=cast("Any", reader),  # MONAI takes a reader itself, which its annotation leaves out
            ensure_channel_first=True,
            image_only=True,
            allow_missing_keys=allow_missing_keys,
        )
        self._reader = reader

    def __call__(self, data: Mapping[Hashable, Any], reader: Any | None = None) -> dict[Hashable, Any]:
        """
        Raises:
            ValueError: naming the file, when it does not exist, is no image, is truncated, is too small, has more
                pixels than PIL allows, or has a mode without a known range of values.
        """
        loaded = dict(data)
        for key in self.key_iterator(data):
            try:
                # given at the call, MONAI tries no other reader after this one
                loaded[key] = self._loader(data[key], reader or self._reader)
            except Exception as error:  # decoders raise many types on damaged bytes
                raise ValueError(f"{key} file {data[key]} cannot be read: {error}") from error
            # PILReader notes (W, H) even where it does not swap the axes
            loaded[key].meta["spatial_shape"] = np.array(loaded[key].shape[1:])
        return loaded
