"""Paints tissues over each other with partial volume, and keeps the labels that belong to the picture."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

__all__ = ["TissueCanvas"]


class TissueCanvas:
    """An image and its labels, painted from the back to the front.

    A voxel that a surface cuts takes on a mixture of both tissues, by the share of a box filter as wide as a voxel.

    Args:
        shape: shape of the volume.
        background: intensity before anything is painted.
        voxel_size: mean voxel size in mm, the width over which surfaces blend.
    """

    def __init__(self, shape: tuple[int, int, int], background: float, voxel_size: float) -> None:
        self.image = np.full(shape, background, dtype=np.float32)
        self.label = np.zeros(shape, dtype=np.uint8)
        self.voxel_size = np.float32(voxel_size)

    def paint(self, distance: np.ndarray, value: np.ndarray | float, label: int | None = None) -> None:
        """Cover the inside of a shape.

        Args:
            distance: signed distance to the shape's surface in mm, negative inside.
            value: intensity of the tissue, one number or one a voxel.
            label: class that the inside gets, 0 to take a class away; None leaves labels as they are, which is for
                detail within a structure and for what lies behind labelled structures.
        """
        share = np.clip(np.float32(0.5) - distance / self.voxel_size, 0, 1)
        self.image += share * (value - self.image)
        if label is not None:
            self.label[distance < 0] = label

    def keep_largest_components(self) -> None:
        """Clear the islands that painting over a structure cut off from its main part, one component a class stays."""
        for value in np.unique(self.label[self.label > 0]):
            components, count = ndimage.label(self.label == value)
            if count > 1:
                sizes = np.bincount(components.ravel())[1:]
                self.label[(components > 0) & (components != 1 + int(np.argmax(sizes)))] = 0
