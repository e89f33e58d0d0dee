"""Lesions whose signs lie in the deeper skin: basal cell carcinoma, dermatofibroma and vascular lesion."""

from __future__ import annotations

import numpy as np

from monai_proto.data.phantoms.dermoscopy_lesions import LesionField
from monai_proto.data.phantoms.dermoscopy_pigments import SCAR, PigmentCanvas
from monai_proto.data.phantoms.dermoscopy_strokes import Stroke, branching_strokes, draw_strokes
from monai_proto.data.phantoms.dermoscopy_textures import bend, cell_pattern, globules, network, patches, skin_noise
from monai_proto.data.phantoms.dermoscopy_view import DermoscopyView

__all__ = ["paint_basal_cell_carcinoma", "paint_dermatofibroma", "paint_vascular_lesion"]


def paint_basal_cell_carcinoma(
    canvas: PigmentCanvas, lesion: LesionField, view: DermoscopyView, generator: np.random.Generator
) -> None:
    """Pink and shiny, with vessels that branch like trees, blue-grey nests, brown leaves at the rim, and ulcers."""
    share, points = lesion.share(), lesion.points
    canvas.blood += share * np.float32(generator.uniform(0.1, 0.45)) * (1 + 0.3 * skin_noise(points, 2.5, generator, 4))
    canvas.melanin += share * np.float32(generator.uniform(0.0, 0.7)) * patches(points, 4.0, 0.5, generator, 1.3)
    if generator.random() < 0.4:
        canvas.cover(lesion.share(1.5, 0.5) * patches(points, 4.0, 0.3, generator) * np.float32(0.4), SCAR)
    main = generator.choice(["vessels", "nests", "both"], p=[0.3, 0.25, 0.45])
    if main in ("vessels", "both"):
        vessels = _vessel_trees(lesion, view, generator)
        canvas.blood += lesion.share(1.0) * vessels * np.float32(generator.uniform(0.7, 1.2))
    if main in ("nests", "both"):
        spacing = generator.uniform(1.3, 1.9)
        nests = globules(
            bend(points, 0.12, 1.6, generator), spacing, 0.24 * spacing, generator.uniform(0.3, 0.6), generator
        )
        canvas.deep_melanin += lesion.share(0.5) * nests * np.float32(generator.uniform(0.6, 1.2))
    if generator.random() < 0.35:
        leaves = globules(bend(points, 0.08, 1.0, generator), 0.9, 0.32, 0.6, generator) * (
            1 - lesion.share(1.0, 0.25 * lesion.radius)
        )
        canvas.melanin += lesion.share(0.3) * leaves * np.float32(generator.uniform(0.35, 0.75))
    if generator.random() < 0.25:
        ulcer = lesion.share(0.5, 0.4 * lesion.radius) * patches(points, 4.0, 0.4, generator, 0.7)
        canvas.blood += ulcer * np.float32(0.9)
        canvas.melanin += ulcer * np.float32(0.35)


def _vessel_trees(lesion: LesionField, view: DermoscopyView, generator: np.random.Generator) -> np.ndarray:
    """Trees that enter at the rim and branch towards the middle, coverage (H, W)."""
    strokes: list[Stroke] = []
    for _ in range(int(generator.integers(3, 6))):
        angle = generator.uniform(0, 2 * np.pi)
        start = generator.uniform(0.6, 1.0) * lesion.radius * np.array([np.cos(angle), np.sin(angle)])
        inwards = angle + np.pi + generator.normal(0, 0.4)
        strokes += branching_strokes(start, inwards, generator.uniform(0.7, 1.2) * lesion.radius, 0.17, generator)
    scale = view.pixels_per_mm
    in_pixels = [Stroke(view.to_pixels(s.path), s.width * scale, s.end_width * scale) for s in strokes]
    return draw_strokes(view.image_size, in_pixels)


def paint_dermatofibroma(
    canvas: PigmentCanvas, lesion: LesionField, view: DermoscopyView, generator: np.random.Generator
) -> None:
    """A pale, scar-like centre within a fine brown network that fades outwards."""
    share, points = lesion.share(), lesion.points
    uneven = 1 + np.float32(0.2) * skin_noise(points, 2.0, generator, 4)
    canvas.blood += share * np.float32(generator.uniform(0.05, 0.45)) * uneven
    canvas.melanin += share * np.float32(generator.uniform(0.25, 0.75)) * uneven
    lines = network(points, generator.uniform(0.5, 0.7), 0.16, generator, 0.6)
    canvas.melanin += share * lines * np.float32(generator.uniform(0.0, 0.4))
    centre = lesion.share(generator.uniform(1.0, 2.0), lesion.radius * generator.uniform(0.4, 0.65))
    streaked = np.clip(np.float32(0.85) + np.float32(0.3) * skin_noise(points, 1.4, generator, 3), 0, 1)
    canvas.cover(centre * streaked * np.float32(generator.uniform(0.5, 0.8)), SCAR)


def paint_vascular_lesion(
    canvas: PigmentCanvas, lesion: LesionField, view: DermoscopyView, generator: np.random.Generator
) -> None:
    """Red, purple or black lacunae with pale septa between them."""
    share, points = lesion.share(), lesion.points
    uneven = 1 + np.float32(0.15) * skin_noise(points, 2.0, generator, 3)
    canvas.blood += share * np.float32(generator.uniform(0.25, 0.75)) * uneven
    spacing = generator.uniform(1.1, 2.0)
    cells = cell_pattern(bend(points, 0.14 * spacing, 2 * spacing, generator), spacing, generator, 0.9)
    wall = generator.uniform(0.05, 0.15) * spacing
    lacunae = share * np.clip((cells.to_wall - np.float32(wall)) / np.float32(0.3 * spacing) + np.float32(0.3), 0, 1)
    strength = np.float32(0.5) + np.float32(0.7) * cells.value
    canvas.blood += lacunae * strength * np.float32(generator.uniform(0.3, 0.8))
    canvas.deep_melanin += lacunae * cells.value * np.float32(generator.uniform(0.0, 0.6))
    if generator.random() < 0.4:  # clotted lacunae are black
        clotted = lacunae * (cells.value > 0.55)
        canvas.deep_melanin += clotted * np.float32(0.5)
        canvas.melanin += clotted * np.float32(0.5)
    canvas.melanin += share * np.float32(max(0.0, generator.uniform(-0.3, 0.5)))
    septa = share * np.exp(-((cells.to_wall / np.float32(wall + 0.06)) ** 2))
    canvas.cover(septa * np.float32(generator.uniform(0.05, 0.3)), SCAR)
