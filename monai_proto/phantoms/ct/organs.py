"""The labelled organs of the abdomen as shapes: liver, spleen, kidneys and aorta.

Frame: that of the trunk, in mm: x right, y anterior, z superior, z 0 at the second lumbar vertebra.
"""

from __future__ import annotations

import numpy as np

from monai_proto.phantoms.ct.abdomen import AbdomenSpace, OrganSizes
from monai_proto.phantoms.ct.attenuation import TissueAttenuation
from monai_proto.phantoms.ct.distractors import paint_bowel, paint_pancreas, paint_stomach
from monai_proto.phantoms.random_fields import random_waves
from monai_proto.phantoms.shapes import ellipsoid_distance, smooth_union, tube_distance
from monai_proto.phantoms.tissue_canvas import TissueCanvas
from monai_proto.phantoms.volume_grid import rotation_matrix

__all__ = ["AORTA", "LEFT_KIDNEY", "LIVER", "RIGHT_KIDNEY", "SPLEEN", "paint_organs"]

LIVER, SPLEEN, LEFT_KIDNEY, RIGHT_KIDNEY, AORTA = 1, 2, 3, 4, 5


def paint_organs(
    canvas: TissueCanvas,
    space: AbdomenSpace,
    sizes: OrganSizes,
    attenuation: TissueAttenuation,
    generator: np.random.Generator,
) -> None:
    """Paint all organs from the front's bowel to the vessels before the spine, in HU."""
    paint_bowel(canvas, space, sizes, attenuation, generator)
    paint_stomach(canvas, space, sizes, attenuation, generator)
    _paint_spleen(canvas, space, sizes, attenuation)
    _paint_liver(canvas, space, sizes, attenuation, generator)
    paint_pancreas(canvas, space, attenuation)
    for label, side in ((LEFT_KIDNEY, -1), (RIGHT_KIDNEY, 1)):
        _paint_kidney(canvas, space, sizes, attenuation, side, label, generator)
    _paint_great_vessels(canvas, space, sizes, attenuation)


def _paint_spleen(canvas: TissueCanvas, space: AbdomenSpace, sizes: OrganSizes, attenuation: TissueAttenuation) -> None:
    """The spleen: a shell behind the stomach; it takes up contrast in stripes while the arterial blood arrives."""
    size = sizes.spleen
    outside = ellipsoid_distance(
        space.points, (-92.0, -34.0, 55.0), (40 * size, 48 * size, 50 * size), rotation_matrix((10.0, 12.0, -15.0))
    )
    stomach_bed = ellipsoid_distance(space.points, (-52.0, 12.0, 50.0), (42.0, 46.0, 60.0))
    kidney_bed = ellipsoid_distance(space.points, (-58.0, -52.0, 12.0), (36.0, 33.0, 62.0))
    spleen = space.confine(np.maximum(outside, -np.minimum(stomach_bed, kidney_bed)))
    arterial = np.clip((attenuation.aorta - 200) / 120, 0, 1)
    stripes = 30 * arterial * np.sin(space.points[2] / 5 + 2 * space.texture)
    canvas.paint(spleen, attenuation.spleen + 4 * space.texture + stripes, SPLEEN)


def _paint_liver(
    canvas: TissueCanvas,
    space: AbdomenSpace,
    sizes: OrganSizes,
    attenuation: TissueAttenuation,
    generator: np.random.Generator,
) -> None:
    """The liver below the right dome, hollowed from below by kidney and bowel; with vessels, cysts and gallbladder."""
    points, size = space.points, sizes.liver
    right = ellipsoid_distance(points, (74.0, -2.0, 46.0), (70 * size, 90 * size, 74 * size))
    left = ellipsoid_distance(
        points, (2.0, 48.0, 62.0), (76 * sizes.liver_left, 36 * size, 34 * size), rotation_matrix((0.0, -12.0, 12.0))
    )
    whole = smooth_union(right, left, 22.0)
    visceral = ellipsoid_distance(points, (28.0, -6.0, -28.0), (62.0, 72.0, 62.0), rotation_matrix((0.0, 20.0, 0.0)))
    spine_bed = ellipsoid_distance(points, (-8.0, -52.0, 40.0), (42.0, 50.0, 150.0))
    liver = space.confine(np.maximum(np.maximum(whole, -visceral), -spine_bed))
    canvas.paint(liver, attenuation.liver + 5 * space.texture, LIVER)

    branches = np.abs(random_waves(points, 60.0, generator)) + np.abs(random_waves(points, 52.0, generator))
    canvas.paint(np.maximum(liver + 6, branches * 14 - 3.0), attenuation.liver_vessel)
    for _ in range(sizes.liver_cysts):
        centre = generator.uniform((30, -40, 20), (110, 40, 90))
        radius = generator.uniform(5, 15)
        cyst = ellipsoid_distance(points, tuple(centre), (radius, radius, radius))
        canvas.paint(np.maximum(cyst, liver + 1), 8.0)
    gallbladder = ellipsoid_distance(points, (50.0, 44.0, 8.0), (15.0, 21.0, 22.0), rotation_matrix((25.0, 0.0, 0.0)))
    canvas.paint(space.confine(gallbladder, 4.0), 10.0, 0)


def _paint_kidney(
    canvas: TissueCanvas,
    space: AbdomenSpace,
    sizes: OrganSizes,
    attenuation: TissueAttenuation,
    side: int,
    label: int,
    generator: np.random.Generator,
) -> None:
    """One kidney in its fat: cortex around medulla around the sinus, which opens to the middle and has no label."""
    size = sizes.kidney
    height = sizes.kidney_height[0 if side < 0 else 1]
    centre = np.array([side * 60.0, -50.0, height])
    turn = rotation_matrix((0.0, -side * sizes.kidney_turn, -side * 25.0))
    kidney = space.confine(ellipsoid_distance(space.points, centre, (26 * size, 24 * size, 52 * size), turn), 4.0)
    capsule = ellipsoid_distance(space.points, centre, (34 * size, 32 * size, 60 * size), turn)
    canvas.paint(space.confine(capsule), -100 + 8 * space.texture, 0)
    canvas.paint(kidney, attenuation.kidney_cortex + 4 * space.texture, label)
    pyramids = kidney + 7 + 3 * space.texture
    canvas.paint(pyramids, attenuation.kidney_medulla)
    hilum = centre + np.array([-side * 13.0, 5.0, 0.0])
    sinus = ellipsoid_distance(space.points, hilum, (15 * size, 10 * size, 24 * size), turn)
    canvas.paint(sinus, -60.0, 0)
    for _ in range(sizes.kidney_cysts):
        place = centre + generator.uniform((-15, -12, -35), (15, 12, 35))
        radius = generator.uniform(5, 11)
        canvas.paint(np.maximum(ellipsoid_distance(space.points, place, (radius,) * 3), kidney + 1), 7.0)


def _paint_great_vessels(
    canvas: TissueCanvas, space: AbdomenSpace, sizes: OrganSizes, attenuation: TissueAttenuation
) -> None:
    """The aorta before the spine on the left, with a calcified plaque, and the vena cava on the right."""
    x, y, z = space.points
    radius = np.clip(sizes.aorta_radius - 0.012 * (60 - z), 6.5, None).astype(np.float32)
    sway = np.float32(-9.0) + np.float32(sizes.aorta_sway) * np.sin(z / np.float32(45.0))
    ahead = y - space.spine_y - 19 - radius
    cava = tube_distance(x - 22, ahead + 2, np.full_like(x, 12.5), np.full_like(x, 9.0))
    canvas.paint(cava, attenuation.vena_cava, 0)
    aorta = tube_distance(x - sway, ahead, radius, radius)
    canvas.paint(aorta, attenuation.aorta + 3 * space.texture, AORTA)
    half_plaque = np.full_like(x, 3.0)
    plaque = np.maximum(tube_distance(x - sway + radius, ahead, half_plaque, 2 * half_plaque), np.abs(z + 15) - 12)
    canvas.paint(np.maximum(plaque, aorta), 550.0)
