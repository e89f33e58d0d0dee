"""The signs of each kind of lesion: melanocytic, keratinocytic, and those of the deeper skin."""

from __future__ import annotations

import numpy as np

from monai_proto.phantoms.dermoscopy.lesions import LesionField
from monai_proto.phantoms.dermoscopy.skin import KERATIN, SCALE, SCAR, VEIL, PigmentCanvas
from monai_proto.phantoms.dermoscopy.strokes import Stroke, branching_strokes, draw_strokes, wandering_path
from monai_proto.phantoms.dermoscopy.textures import bend, cell_pattern, globules, network, patches, skin_noise
from monai_proto.phantoms.dermoscopy.view import DermoscopyView

__all__ = [
    "paint_actinic_keratosis",
    "paint_basal_cell_carcinoma",
    "paint_benign_keratosis",
    "paint_dermatofibroma",
    "paint_melanoma",
    "paint_nevus",
    "paint_vascular_lesion",
]


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


def paint_benign_keratosis(
    canvas: PigmentCanvas, lesion: LesionField, view: DermoscopyView, generator: np.random.Generator
) -> None:
    """Dull brown to grey with a hard edge; white cysts (milia), dark plugs in pores, ridges: two of them at least."""
    share, points = lesion.share(), lesion.points
    inside = lesion.share(0.4, 0.3)
    rough = 1 + np.float32(generator.uniform(0.15, 0.35)) * skin_noise(points, 1.8, generator, 4)
    canvas.melanin += share * np.float32(generator.uniform(0.25, 0.9)) * rough
    canvas.deep_melanin += share * np.float32(generator.uniform(0.0, 0.25))
    canvas.blood += share * np.float32(generator.uniform(0.0, 0.4))
    canvas.cover(share * np.float32(generator.uniform(0.0, 0.2)), KERATIN)
    signs = generator.permutation(["milia", "plugs", "ridges"])
    for sign in signs[: generator.integers(2, 4)]:
        if sign == "milia":
            cysts = globules(points, generator.uniform(0.9, 1.4), 0.18, generator.uniform(0.3, 0.6), generator)
            canvas.cover(inside * cysts * np.float32(generator.uniform(0.45, 0.8)), SCALE)
        elif sign == "plugs":
            plugs = globules(points, generator.uniform(1.0, 1.5), 0.22, generator.uniform(0.3, 0.6), generator)
            canvas.melanin += inside * plugs * np.float32(generator.uniform(0.6, 1.2))
        else:
            bent = bend(points, 0.35, 3.0, generator)
            bent[0] *= np.float32(generator.uniform(0.45, 0.7))  # long ridges, as on a brain
            furrow = cell_pattern(bent, generator.uniform(0.8, 1.1), generator, 0.9).to_wall
            canvas.melanin += share * np.exp(-((furrow / np.float32(0.13)) ** 2)) * np.float32(0.45)


def paint_actinic_keratosis(
    canvas: PigmentCanvas, lesion: LesionField, view: DermoscopyView, generator: np.random.Generator
) -> None:
    """Pink to light brown without a clear edge; pale follicles in a red net, white scale, dotted vessels."""
    share, points = lesion.share(), lesion.points
    canvas.blood += (
        share * np.float32(generator.uniform(0.1, 0.45)) * (1 + 0.25 * skin_noise(points, 2.0, generator, 4))
    )
    brown = patches(points, 4.0, 0.6, generator, 1.5) * (1 + 0.3 * skin_noise(points, 0.8, generator, 2))
    canvas.melanin += share * np.float32(generator.uniform(0.0, 0.7)) * brown
    signs = generator.permutation(["follicles", "scale", "dots"])
    for sign in signs[: generator.integers(2, 4)]:
        if sign == "follicles":
            bent = bend(points, 0.12, 2.0, generator)
            cells = cell_pattern(bent, generator.uniform(0.8, 1.2), generator, 0.8)
            there = np.clip(np.float32(0.7) + np.float32(0.5) * skin_noise(points, 4.0, generator, 2), 0, 1) * share
            canvas.blood += there * np.clip(cells.to_centre / np.float32(0.5), 0, 1) * np.float32(0.35)
            pale = np.clip((np.float32(0.34) - cells.to_centre) / np.float32(0.22), 0, 1)
            canvas.cover(there * pale * np.float32(generator.uniform(0.25, 0.5)), SCALE)
        elif sign == "scale":
            flakes = patches(points, 3.0, 0.35, generator, 1.0) * patches(points, 1.2, 0.45, generator, 1.8)
            canvas.cover(share * flakes * np.float32(generator.uniform(0.5, 0.8)), SCALE)
        else:
            dots = globules(points, 0.5, 0.11, 0.7, generator)
            canvas.blood += share * dots * patches(points, 3.5, 0.6, generator) * np.float32(0.8)


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
