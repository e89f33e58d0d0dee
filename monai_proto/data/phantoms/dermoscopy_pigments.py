"""What colours skin: melanin, deep melanin, blood, and pale matter on top, rendered by absorption as in real tissue."""

from __future__ import annotations

import numpy as np

__all__ = ["KERATIN", "SCALE", "SCAR", "VEIL", "PigmentCanvas"]

# absorbance of red, green and blue by one unit of each pigment; the melanin of the dermis looks blue-grey, since the
# tissue above it scatters blue light back
_MELANIN = (0.45, 0.79, 1.05)
_DEEP_MELANIN = (0.95, 0.78, 0.55)
_BLOOD = (0.16, 0.85, 0.66)

# colours of what covers pigment, as shares of the full range
SCALE = (0.93, 0.86, 0.80)
KERATIN = (0.84, 0.72, 0.52)
SCAR = (0.93, 0.82, 0.83)
VEIL = (0.62, 0.68, 0.80)


class PigmentCanvas:
    """Densities of pigment over an image, painted additively, and pale covers over them in the order of painting.

    Args:
        image_size: height and width in pixels.
    """

    def __init__(self, image_size: tuple[int, int]) -> None:
        self.melanin = np.zeros(image_size, dtype=np.float32)
        self.deep_melanin = np.zeros(image_size, dtype=np.float32)
        self.blood = np.zeros(image_size, dtype=np.float32)
        self._covers: list[tuple[np.ndarray, tuple[float, float, float]]] = []

    def cover(self, share: np.ndarray, colour: tuple[float, float, float]) -> None:
        """Hide the pigments behind a share (H, W) between 0 and 1 of ``colour``."""
        self._covers.append((np.clip(share, 0, 1).astype(np.float32), colour))

    def render(self, skin: np.ndarray) -> np.ndarray:
        """The image (H, W, 3), float32 from 0 to about 1, on skin of the colour ``skin`` (3,)."""
        densities = np.stack([self.melanin, self.deep_melanin, self.blood], axis=-1)
        absorbance = densities @ np.array([_MELANIN, _DEEP_MELANIN, _BLOOD], dtype=np.float32)
        image = skin.astype(np.float32) * np.exp(-absorbance)
        for share, colour in self._covers:
            image += share[..., None] * (np.array(colour, dtype=np.float32) - image)
        return image
