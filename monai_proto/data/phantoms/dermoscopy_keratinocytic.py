"""Lesions of the epidermis: benign keratosis with plugs and cysts, actinic keratosis with scale and follicles."""

from __future__ import annotations

import numpy as np

from monai_proto.data.phantoms.dermoscopy_lesions import LesionField
from monai_proto.data.phantoms.dermoscopy_pigments import KERATIN, SCALE, PigmentCanvas
from monai_proto.data.phantoms.dermoscopy_textures import bend, cell_pattern, globules, patches, skin_noise
from monai_proto.data.phantoms.dermoscopy_view import DermoscopyView

__all__ = ["paint_actinic_keratosis", "paint_benign_keratosis"]


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
