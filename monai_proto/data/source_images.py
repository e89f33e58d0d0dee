"""Small copies of the training images that prototypes come from, to be shown beside a model's answers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from monai_proto.data.color_image import read_color_image
from monai_proto.data.picture_files import safe_file_name

__all__ = ["SourceImages"]


class SourceImages:
    """
    A folder with a PNG for each source image, found by the image's id. It travels with a model, so that explanations
    can be drawn where the training data is not.

    Args:
        folder: where the copies lie; need not exist before something is saved.
        max_side: pixels of a copy's longer side at the most.
    """

    def __init__(self, folder: str | os.PathLike, max_side: int = 320) -> None:
        self.folder = Path(folder)
        self.max_side = max_side

    def path(self, image_id: str) -> Path:
        """File of an image's copy."""
        return self.folder / safe_file_name(image_id)

    def save(self, image_ids: Iterable[str], find: Callable[[str], str | os.PathLike]) -> None:
        """
        Copy images, and delete copies of others that an earlier call left.

        Args:
            image_ids: of the images to keep.
            find: image id -> file.

        Raises:
            ValueError: when an image cannot be read.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        wanted = {self.path(image_id): image_id for image_id in image_ids}
        for old in set(self.folder.glob("*.png")) - set(wanted):
            old.unlink()
        for file, image_id in wanted.items():
            copy = read_color_image(find(image_id))
            copy.thumbnail((self.max_side, self.max_side))
            copy.save(file)

    def load(self, image_id: str) -> np.ndarray:
        """
        Returns:
            RGB (H, W, 3), uint8.

        Raises:
            FileNotFoundError: when there is no copy.
        """
        file = self.path(image_id)
        if not file.is_file():
            raise FileNotFoundError(f"no copy of the training image {image_id} in {self.folder}")
        return np.asarray(read_color_image(file))
