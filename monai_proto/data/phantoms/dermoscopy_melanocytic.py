"""Lesions of pigment cells: the nevus with its regular pattern, and the melanoma with several irregular ones."""

from __future__ import annotations

import numpy as np

from monai_proto.data.phantoms.dermoscopy_lesions import LesionField
from monai_proto.data.phantoms.dermoscopy_pigments import SCAR, VEIL, PigmentCanvas
from monai_proto.data.phantoms.dermoscopy_strokes import Stroke, draw_strokes, wandering_path
from monai_proto.data.phantoms.dermoscopy_textures import globules, network, patches, skin_noise
from monai_proto.data.phantoms.dermoscopy_view import DermoscopyView

__all__ = ["paint_melanoma", "paint_nevus"]


def paint_nevus(
    canvas: PigmentCanvas, lesion: LesionField, view: DermoscopyView, generator: np.random.Generator
) -> None:
    """One or two colours, and one pattern that is the same all over: network, globules, or none."""
    share, points = lesion.share(), lesion.points
    even = 1 + np.float32(generator.uniform(0.05, 0.18)) * skin_noise(points, 2.0, generator, 4)
    even += np.float32(generator.uniform(-0.45, 0.6)) * lesion.depth
    canvas.melanin += share * np.float32(generator.uniform(0.25, 0.9)) * even
    canvas.blood += share * np.float32(generator.uniform(0.05, 0.5))
    pattern = generator.choice(["network", "globules", "both", "none"], p=[0.45, 0.25, 0.1, 0.2])
    if pattern in ("network", "both"):
        lines = network(points, generator.uniform(0.55, 0.8), generator.uniform(0.2, 0.28), generator, 0.6)
        canvas.melanin += share * lines * np.float32(generator.uniform(0.25, 0.6))
    if pattern in ("globules", "both"):
        spacing = generator.uniform(0.5, 0.8)
        spots = globules(points, spacing, 0.3 * spacing, generator.uniform(0.7, 0.95), generator)
        canvas.melanin += share * spots * np.float32(generator.uniform(0.3, 0.65))


def paint_melanoma(
    canvas: PigmentCanvas, lesion: LesionField, view: DermoscopyView, generator: np.random.Generator
) -> None:
    """Several colours out of order: dark blotches off centre, and at least two of the signs that follow."""
    share, points = lesion.share(), lesion.points
    blotches = patches(points, lesion.radius * generator.uniform(1.0, 1.8), 0.45, generator, 0.9)
    uneven = 1 + np.float32(0.2) * skin_noise(points, 2.0, generator, 4)
    canvas.melanin += share * np.float32(generator.uniform(0.15, 0.6)) * uneven
    canvas.melanin += share * blotches * np.float32(generator.uniform(0.4, 1.2)) * uneven
    canvas.blood += share * np.float32(generator.uniform(0.05, 0.5)) * (1 - np.float32(0.7) * blotches)
    signs = generator.permutation(["network", "veil", "dots", "streaks", "regression"])
    for sign in signs[: generator.integers(2, 4)]:
        if sign == "network":
            lines = network(points, generator.uniform(0.7, 1.0), generator.uniform(0.28, 0.4), generator, 1.0)
            canvas.melanin += share * lines * patches(points, 4.0, 0.55, generator, 0.8) * np.float32(0.8)
        elif sign == "veil":
            veil = lesion.share(1.0, 0.6) * patches(points, 1.8 * lesion.radius, 0.35, generator, 0.9)
            canvas.deep_melanin += veil * np.float32(generator.uniform(0.5, 1.0))
            canvas.cover(veil * np.float32(0.2), VEIL)
        elif sign == "dots":
            spots = globules(points, generator.uniform(0.7, 1.0), 0.19, 0.5, generator)
            rim = 1 - lesion.share(2.0, 0.35 * lesion.radius)
            canvas.melanin += share * spots * rim * np.float32(generator.uniform(0.7, 1.3))
        elif sign == "streaks":
            canvas.melanin += _streaks(lesion, view, generator) * share * np.float32(generator.uniform(0.5, 1.0))
        else:
            scars = lesion.share(1.2, 0.6) * patches(points, 4.0, 0.25, generator, 0.9)
            canvas.cover(scars * np.float32(generator.uniform(0.3, 0.55)), SCAR)


def _streaks(lesion: LesionField, view: DermoscopyView, generator: np.random.Generator) -> np.ndarray:
    """Radial lines at a part of the rim, coverage (H, W)."""
    middle, spread = generator.uniform(0, 2 * np.pi), generator.uniform(0.5, 1.2)
    strokes = []
    for angle in generator.uniform(middle - spread, middle + spread, size=int(generator.integers(8, 18))):
        start = generator.uniform(0.5, 0.8) * lesion.radius * np.array([np.cos(angle), np.sin(angle)])
        path = wandering_path(start, angle, 0.7 * lesion.radius, 0.3, generator, num_steps=4)
        width = generator.uniform(0.12, 0.28) * view.pixels_per_mm
        strokes.append(Stroke(view.to_pixels(path), 0.5 * width, width))
    return draw_strokes(view.image_size, strokes)
