"""Pigments on skin, and the healthy skin around a lesion: tone, mottling, furrows, freckles, small vessels."""

from __future__ import annotations

import numpy as np

from monai_proto.phantoms.dermoscopy.textures import bend, cell_pattern, patches, skin_noise

__all__ = ["KERATIN", "SCALE", "SCAR", "VEIL", "PigmentCanvas", "paint_skin", "sample_skin_tone"]

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


def sample_skin_tone(generator: np.random.Generator) -> np.ndarray:
    """Colour (3,) of one person's skin under a dermatoscope, from cream through pink to lilac, 0 to 1."""
    red = generator.uniform(0.74, 0.94)
    green = red * generator.uniform(0.68, 0.91)
    blue = green * generator.uniform(0.90, 1.12)
    return np.array([red, green, blue])


def paint_skin(canvas: PigmentCanvas, points: np.ndarray, generator: np.random.Generator) -> None:
    """Add one person's skin.

    Args:
        canvas: pigments so far.
        points: coordinates (3, H, W) in mm, which stay with the skin from view to view.
        generator: the person's random stream.
    """
    canvas.blood += np.float32(generator.uniform(0.02, 0.08)) * skin_noise(points, 4.0, generator, octaves=5)
    canvas.melanin += np.float32(generator.uniform(0.01, 0.05)) * skin_noise(points, 2.5, generator, octaves=3)
    canvas.melanin += np.float32(generator.uniform(0.01, 0.05)) * skin_noise(points, 0.5, generator, octaves=2)

    bent = bend(points, 0.15, 2.0, generator)
    furrows = cell_pattern(bent, generator.uniform(0.7, 1.3), generator).to_wall
    canvas.melanin += np.float32(generator.uniform(0, 0.06)) * np.exp(-((furrows / np.float32(0.09)) ** 2))

    if generator.random() < 0.3:  # sun-damaged skin
        freckles = patches(points, generator.uniform(2.5, 4), 0.12, generator, 2.0)
        canvas.melanin += np.float32(generator.uniform(0.1, 0.35)) * freckles
    if generator.random() < 0.35:  # thin vessels
        ridge = np.exp(-((skin_noise(points, 5.0, generator, 2) / np.float32(0.05)) ** 2))
        here = np.clip(skin_noise(points, 7.0, generator, 2), 0, 1)
        canvas.blood += np.float32(generator.uniform(0.1, 0.35)) * ridge * here


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
