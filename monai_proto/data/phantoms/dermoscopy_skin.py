"""The healthy skin around a lesion: tone, mottling, furrows, freckles, and a few small vessels."""

from __future__ import annotations

import numpy as np

from monai_proto.data.phantoms.dermoscopy_pigments import PigmentCanvas
from monai_proto.data.phantoms.dermoscopy_textures import bend, cell_pattern, patches, skin_noise

__all__ = ["paint_skin", "sample_skin_tone"]


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
