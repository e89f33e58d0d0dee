"""What a dermoscopic image shows besides skin: hairs, ruler marks, gel bubbles, uneven light, black corners.

Nothing here knows of the lesion: every artefact is drawn from the view's random stream alone.
"""

from __future__ import annotations

import numpy as np

from monai_proto.phantoms.dermoscopy.strokes import Stroke, draw_strokes, wandering_path
from monai_proto.phantoms.random_fields import random_waves

__all__ = ["add_artefacts"]


def add_artefacts(image: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """An image (H, W, 3), float32 0 to 1, with all that lies over the skin and in the light path; a new array."""
    image = _hairs(image, generator)
    if generator.random() < 0.2:
        image = _bubbles(image, generator)
    if generator.random() < 0.2:
        image = _ruler(image, generator)
    image = _light(image, generator)
    return _round_field(image, generator) if generator.random() < 0.25 else image


def _blend(image: np.ndarray, share: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """``image`` with a share (H, W) of ``colour`` (3,)."""
    return image + share[..., None] * (colour.astype(np.float32) - image)


def _hairs(image: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """None, a few, or many hairs of one colour, combed roughly one way."""
    height, width = image.shape[:2]
    number = int(generator.choice([0, 3, 8, 22], p=[0.35, 0.3, 0.23, 0.12]) * generator.uniform(0.6, 1.5))
    combed, fair = generator.uniform(0, 2 * np.pi), generator.random() < 0.25
    longest, thickness = generator.uniform(0.15, 0.9) * width, generator.uniform(0.004, 0.008) * width
    strokes = []
    for _ in range(number):
        start = generator.uniform(-0.1, 1.1, size=2) * (width, height)
        path = wandering_path(
            start, combed + generator.normal(0, 0.6), longest * generator.uniform(0.4, 1), 0.8, generator
        )
        thick = thickness * generator.uniform(0.7, 1.3)
        strokes.append(Stroke(path, thick, 0.5 * thick))
    colour = np.array([0.72, 0.58, 0.42] if fair else [0.20, 0.13, 0.12])
    return _blend(image, draw_strokes((height, width), strokes) * np.float32(generator.uniform(0.6, 0.95)), colour)


def _bubbles(image: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Bubbles in the contact gel: a dark ring with a bright inner side and a glint."""
    height, width = image.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    for _ in range(int(generator.integers(1, 9))):
        centre_x, centre_y = generator.uniform(0, width), generator.uniform(0, height)
        radius = width * generator.uniform(0.008, 0.035)
        from_rim = np.hypot(x - np.float32(centre_x), y - np.float32(centre_y)) - np.float32(radius)
        wall = np.float32(max(0.12 * radius, 0.6))
        image = _blend(image, np.float32(0.4) * np.exp(-((from_rim / wall) ** 2)), np.array([0.35, 0.25, 0.25]))
        image = _blend(image, np.float32(0.35) * np.exp(-((from_rim / wall + 2) ** 2)), np.ones(3))
        glint = np.hypot(x - np.float32(centre_x - 0.4 * radius), y - np.float32(centre_y - 0.4 * radius))
        image = _blend(image, np.exp(-((glint / np.float32(0.22 * radius + 0.4)) ** 2)), np.ones(3))
    return image


def _ruler(image: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Ticks of a scale along the upper or lower rim, at times only in a corner."""
    height, width = image.shape[:2]
    gap, first = width * generator.uniform(0.055, 0.075), generator.uniform(0, 0.7) * width
    tilt = generator.normal(0, 0.15)
    along = np.arange(first, width, gap)
    strokes = []
    for number, position in enumerate(along):
        length = width * (0.05 if number % 5 == 0 else 0.03)
        start = np.array([position, generator.normal(0, 0.3) + 0.02 * height + tilt * (position - first)])
        strokes.append(
            Stroke(np.stack([start, start + np.array([-tilt * length, length])]), 0.006 * width, 0.006 * width)
        )
    ticks = draw_strokes((height, width), strokes)
    if generator.random() < 0.5:
        ticks = ticks[::-1, ::-1]
    return _blend(image, ticks * np.float32(0.85), np.array([0.12, 0.11, 0.15]))


def _light(image: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Light that falls off to one side and to the rim, and the camera's white balance and exposure."""
    height, width = image.shape[:2]
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    slope_x, slope_y = generator.normal(0, 0.05, size=2).astype(np.float32)
    uneven = np.float32(0.03) * random_waves(np.stack([x, y, np.zeros_like(x)]), 2.5, generator, 4)
    rim = np.float32(generator.uniform(0.0, 0.14)) * (x * x + y * y)
    balance = generator.normal(1, 0.025, size=3) * generator.uniform(0.9, 1.07)
    return image * (1 + slope_x * x + slope_y * y + uneven - rim)[..., None] * balance.astype(np.float32)


def _round_field(image: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Black corners of a dermatoscope whose round field is smaller than the sensor."""
    height, width = image.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    centre = np.array([width / 2, height / 2]) + generator.normal(0, 0.02, size=2) * width
    radius = width * generator.uniform(0.50, 0.60)
    softness = width * generator.uniform(0.008, 0.04)
    from_rim = np.hypot(x - np.float32(centre[0]), y - np.float32(centre[1])) - np.float32(radius)
    return _blend(image, 1 / (1 + np.exp(-from_rim / np.float32(softness))), np.array([0.04, 0.03, 0.04]))
