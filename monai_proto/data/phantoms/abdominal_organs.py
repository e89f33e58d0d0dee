"""The organs of the abdomen as shapes: five with labels, and those that they can be mistaken for.

Frame: that of the trunk, in mm: x right, y anterior, z superior, z 0 at the second lumbar vertebra.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from monai_proto.data.phantoms.ct_attenuation import TissueAttenuation
from monai_proto.data.phantoms.random_fields import random_waves
from monai_proto.data.phantoms.shapes import ellipsoid_distance, smooth_union, tube_distance
from monai_proto.data.phantoms.tissue_canvas import TissueCanvas
from monai_proto.data.phantoms.volume_grid import rotation_matrix

__all__ = ["AORTA", "LEFT_KIDNEY", "LIVER", "RIGHT_KIDNEY", "SPLEEN", "OrganSizes", "paint_organs"]

LIVER, SPLEEN, LEFT_KIDNEY, RIGHT_KIDNEY, AORTA = 1, 2, 3, 4, 5
_GAS_HU = -950.0


@dataclass(frozen=True)
class OrganSizes:
    """Sizes and places of one person's organs; factors without unit, the rest in mm."""

    liver: float
    liver_left: float
    spleen: float
    kidney: float
    kidney_height: tuple[float, float]  # left, right
    kidney_turn: float  # degrees
    aorta_radius: float
    aorta_sway: float
    stomach: float
    bowel_fill: float
    liver_cysts: int
    kidney_cysts: int

    @classmethod
    def sample(cls, generator: np.random.Generator) -> OrganSizes:
        """One person."""
        left = generator.uniform(2, 24)
        return cls(
            liver=generator.uniform(0.9, 1.1),
            liver_left=generator.uniform(0.75, 1.2),
            spleen=generator.uniform(0.8, 1.25),
            kidney=generator.uniform(0.88, 1.12),
            kidney_height=(left, left - generator.uniform(4, 18)),
            kidney_turn=generator.uniform(6, 18),
            aorta_radius=generator.uniform(8.5, 13.5),
            aorta_sway=generator.uniform(-4, 5),
            stomach=generator.uniform(0.75, 1.15),
            bowel_fill=generator.uniform(-0.3, 0.5),
            liver_cysts=int(generator.integers(0, 4)),
            kidney_cysts=int(generator.integers(0, 3)),
        )


@dataclass(frozen=True)
class AbdomenSpace:
    """The room that organs may fill: arrays (D, H, W) in mm, with coordinates (3, D, H, W).

    Attributes:
        points: coordinates in the trunk's frame, in mm.
        cavity: distance to the muscular wall, negative inside.
        below_diaphragm: distance to the diaphragm, negative below.
        spine_y: anterior position of the vertebral bodies' centre at each voxel's height.
        texture: a field of unit variance for all parenchyma.
    """

    points: np.ndarray
    cavity: np.ndarray
    below_diaphragm: np.ndarray
    spine_y: np.ndarray
    texture: np.ndarray

    def confine(self, distance: np.ndarray, gap: float = 2.0) -> np.ndarray:
        """The part of a shape that lies within the cavity and below the diaphragm, ``gap`` mm away from both."""
        return np.maximum(distance, np.maximum(self.cavity, self.below_diaphragm) + np.float32(gap))


def paint_organs(
    canvas: TissueCanvas,
    space: AbdomenSpace,
    sizes: OrganSizes,
    attenuation: TissueAttenuation,
    generator: np.random.Generator,
) -> None:
    """Paint all organs from the front's bowel to the vessels before the spine, in HU."""
    _paint_bowel(canvas, space, sizes, attenuation, generator)
    _paint_stomach(canvas, space, sizes, attenuation, generator)
    _paint_spleen(canvas, space, sizes, attenuation)
    _paint_liver(canvas, space, sizes, attenuation, generator)
    _paint_pancreas(canvas, space, attenuation)
    for label, side in ((LEFT_KIDNEY, -1), (RIGHT_KIDNEY, 1)):
        _paint_kidney(canvas, space, sizes, attenuation, side, label, generator)
    _paint_great_vessels(canvas, space, sizes, attenuation)


def _paint_bowel(
    canvas: TissueCanvas,
    space: AbdomenSpace,
    sizes: OrganSizes,
    attenuation: TissueAttenuation,
    generator: np.random.Generator,
) -> None:
    """Small-bowel loops in front and the colon as a frame around them; gas collects in front, as in a patient on his back."""
    x, y, z = space.points
    loops = (0.45 - sizes.bowel_fill - random_waves(space.points, 48.0, generator, 14)) * 9
    in_front = np.maximum(-8 - y, z - 38)
    lumen_gas = np.maximum(loops + 5, (0.9 - random_waves(space.points, 38.0, generator)) * 8 - 0.12 * y)
    small = space.confine(np.maximum(loops, in_front), 5.0)
    canvas.paint(small, attenuation.bowel_wall + 5 * space.texture)
    canvas.paint(np.maximum(small + 3, loops + 5), 18.0)
    canvas.paint(np.maximum(small + 4, lumen_gas), _GAS_HU)

    half_width = np.float32(0.5) * (x.max() - x.min())
    radius = np.full_like(x, 17.0) + 3 * np.sin(z / np.float32(7.0)) + 3 * np.sin(x / np.float32(8.0))
    lateral = np.float32(min(105.0, 0.72 * half_width))
    ascending = np.maximum(tube_distance(x - lateral, y - 2, radius, radius), z + 20)
    descending = np.maximum(tube_distance(x + lateral, y + 20, radius - 3, radius - 3), z - 28)
    transverse = np.maximum(
        tube_distance(y - 58 + 0.0035 * x * x, z + 16 - 0.002 * x * x, radius, radius), np.abs(x) - lateral
    )
    colon = space.confine(np.minimum(np.minimum(ascending, descending), transverse), 3.0)
    stool = random_waves(space.points, 13.0, generator)
    canvas.paint(colon, attenuation.bowel_wall)
    canvas.paint(colon + 3, 10 + 55 * stool)
    canvas.paint(np.maximum(colon + 4, 10 - 10 * stool - 0.25 * (y - 40)), _GAS_HU)


def _paint_stomach(
    canvas: TissueCanvas,
    space: AbdomenSpace,
    sizes: OrganSizes,
    attenuation: TissueAttenuation,
    generator: np.random.Generator,
) -> None:
    """A bag with fluid behind and a gas bubble in front, next to spleen and left lobe of the liver."""
    tilt = rotation_matrix((0.0, -25.0, 20.0))
    radii = (46 * sizes.stomach, 42 * sizes.stomach, 56 * sizes.stomach)
    stomach = space.confine(ellipsoid_distance(space.points, (-58.0, 30.0, 52.0), radii, tilt))
    canvas.paint(stomach, attenuation.bowel_wall + 10)
    meal = generator.uniform(5, 45)
    canvas.paint(stomach + 4, meal + 12 * space.texture)
    level = generator.uniform(25, 50)
    canvas.paint(np.maximum(stomach + 4, np.float32(level) - space.points[1]), _GAS_HU)


def _paint_spleen(
    canvas: TissueCanvas, space: AbdomenSpace, sizes: OrganSizes, attenuation: TissueAttenuation
) -> None:
    """The spleen: a shell behind the stomach; it takes up contrast in stripes while the arterial blood arrives."""
    size = sizes.spleen
    outside = ellipsoid_distance(
        space.points, (-92.0, -34.0, 55.0), (36 * size, 46 * size, 46 * size), rotation_matrix((10.0, 12.0, -15.0))
    )
    stomach_bed = ellipsoid_distance(space.points, (-54.0, 10.0, 50.0), (44.0, 46.0, 60.0))
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


def _paint_pancreas(canvas: TissueCanvas, space: AbdomenSpace, attenuation: TissueAttenuation) -> None:
    """The pancreas across the midline, about as bright as a loop of bowel, and the splenic vein behind it."""
    x, y, z = space.points
    rise = np.float32(18.0) - np.float32(0.22) * x
    arch = np.float32(4.0) - np.float32(0.0028) * x * x
    half = np.clip(13 - 0.0022 * (x - 20) ** 2, 0, 13).astype(np.float32)
    pancreas = tube_distance(y - arch - 6, z - rise, half, half * np.float32(1.4))
    free = np.where(canvas.label > 0, np.float32(9.0), np.float32(-9.0))
    canvas.paint(np.maximum(pancreas, free), attenuation.pancreas + 9 * space.texture)
    vein = np.maximum(tube_distance(y - arch + 6, z - rise, np.full_like(x, 4.5), np.full_like(x, 4.5)), np.abs(x) - 62)
    canvas.paint(np.maximum(vein, free), attenuation.liver_vessel)


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
    plaque = ellipsoid_distance(space.points, (-9.0 - sizes.aorta_radius, float(space.spine_y.mean()) + 28, -15.0), (3, 6, 14))
    canvas.paint(np.maximum(plaque, aorta), 550.0)
