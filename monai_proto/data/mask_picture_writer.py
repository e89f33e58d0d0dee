"""Writes masks as pictures that lie on their photographs."""

from __future__ import annotations

from typing import Any

import numpy as np
from monai.data import PILWriter
from PIL import Image

__all__ = ["MaskPictureWriter"]


class MaskPictureWriter(PILWriter):
    """
    ``writer`` of MONAI's ``SaveImaged`` for masks of images that :class:`LoadColorImaged` loaded: rows stay rows, where
    MONAI's ``PILWriter`` swaps them with columns, and the object is white.
    """

    @classmethod
    def create_backend_obj(cls, data_array: Any, **kwargs: Any) -> Image.Image:
        """
        Args:
            data_array: (H, W), the object where above 0.
            kwargs: MONAI's, of no effect here.
        """
        return Image.fromarray(np.where(np.asarray(data_array) > 0, 255, 0).astype(np.uint8))
