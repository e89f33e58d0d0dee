"""Collates images of different sizes and leaves the items themselves as they are."""

from __future__ import annotations

from typing import Any

from monai.transforms import PadListDataCollate

__all__ = ["PadCopiesCollate"]


class PadCopiesCollate(PadListDataCollate):
    """
    MONAI's ``PadListDataCollate`` for items of a cache: MONAI's puts the padded images into the items it is given, and
    ``CacheDataset`` hands out the items that it keeps, so that their images would grow from batch to batch.
    """

    def __call__(self, batch: list[dict]) -> Any:
        """
        Args:
            batch: items of the same keys.
        """
        return super().__call__([dict(item) for item in batch])
