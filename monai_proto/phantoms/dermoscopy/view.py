"""How one dermoscopic image looks at a lesion: magnification, turn and place, between millimetres and pixels.

Frames: the lesion's own, in mm from its centre, x right and y down before it is turned; the image's, in pixels (x, y)
from the middle of the upper left pixel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["DermoscopyView"]

_FIELD_WIDTH_MM = 16.0


@dataclass(frozen=True)
class DermoscopyView:
    """One view of a lesion.

    Attributes:
        image_size: height and width in pixels.
        pixels_per_mm: magnification.
        turn: angle from the lesion's frame to the image's, in radians.
        centre: place (x, y) of the lesion's centre in the image, in pixels.
    """

    image_size: tuple[int, int]
    pixels_per_mm: float
    turn: float
    centre: tuple[float, float]

    @classmethod
    def sample(cls, image_size: tuple[int, int], generator: np.random.Generator) -> DermoscopyView:
        """One view: any turn, magnification within a third, the lesion near the middle."""
        height, width = image_size
        pixels_per_mm = width / _FIELD_WIDTH_MM * generator.uniform(0.85, 1.15)
        turn = generator.uniform(0, 2 * np.pi)
        x, y = np.clip(generator.normal(0, 0.05, size=2), -0.12, 0.12)
        return cls(image_size, pixels_per_mm, turn, ((0.5 + x) * width - 0.5, (0.5 + y) * height - 0.5))

    def points(self) -> np.ndarray:
        """The lesion's coordinates of all pixels in mm, (3, H, W), float32; the third, depth, is 0 at the surface."""
        height, width = self.image_size
        y, x = np.mgrid[:height, :width].astype(np.float32)
        x, y = (x - np.float32(self.centre[0])), (y - np.float32(self.centre[1]))
        cosine, sine = np.float32(np.cos(self.turn)), np.float32(np.sin(self.turn))
        flat = np.stack([cosine * x + sine * y, cosine * y - sine * x, np.zeros_like(x)])
        return flat / np.float32(self.pixels_per_mm)

    def to_pixels(self, points: np.ndarray) -> np.ndarray:
        """Pixel coordinates (N, 2) of points (N, 2) in the lesion's frame; the inverse of ``points()``."""
        cosine, sine = np.cos(self.turn), np.sin(self.turn)
        turned = points @ np.array([[cosine, sine], [-sine, cosine]])
        return turned * self.pixels_per_mm + np.asarray(self.centre)
