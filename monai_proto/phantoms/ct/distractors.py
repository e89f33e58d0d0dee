"""The organs of the abdomen without a label, which the labelled ones can be mistaken for: bowel, stomach, pancreas."""

from __future__ import annotations

import numpy as np

from monai_proto.phantoms.ct.abdomen import AbdomenSpace, OrganSizes
from monai_proto.phantoms.ct.attenuation import TissueAttenuation
from monai_proto.phantoms.random_fields import random_waves
from monai_proto.phantoms.shapes import ellipsoid_distance, tube_distance
from monai_proto.phantoms.tissue_canvas import TissueCanvas
from monai_proto.phantoms.volume_grid import rotation_matrix

__all__ = ["paint_bowel", "paint_pancreas", "paint_stomach"]

_GAS_HU = -950.0


def paint_bowel(
    canvas: TissueCanvas,
    space: AbdomenSpace,
    sizes: OrganSizes,
    attenuation: TissueAttenuation,
    generator: np.random.Generator,
) -> None:
    """Small-bowel loops in front and the colon as a frame around them; gas rises to the front of a supine patient."""
    x, y, z = space.points
    loops = (0.45 - sizes.bowel_fill - random_waves(space.points, 48.0, generator, 14)) * 9
    in_front = np.maximum(-8 - y, z - 38)
    lumen_gas = np.maximum(loops + 5, (0.9 - random_waves(space.points, 38.0, generator)) * 8 - 0.12 * y)
    small = space.confine(np.maximum(loops, in_front), 5.0)
    canvas.paint(small, attenuation.bowel_wall + 5 * space.texture)
    canvas.paint(np.maximum(small + 3, loops + 5), 18.0)
    canvas.paint(np.maximum(small + 4, lumen_gas), _GAS_HU)

    radius = np.full_like(x, 17.0) + 3 * np.sin(z / np.float32(7.0)) + 3 * np.sin(x / np.float32(8.0))
    lateral = np.float32(0.62 * space.half_width)
    ascending = np.maximum(tube_distance(x - lateral, y - 2, radius, radius), z + 20)
    descending = np.maximum(tube_distance(x + lateral, y + 20, radius - 3, radius - 3), z - 28)
    transverse = np.maximum(
        tube_distance(y - 58 + 0.0035 * x * x, z + 16 - 0.002 * x * x, radius, radius), np.abs(x) - lateral
    )
    colon = space.confine(np.minimum(np.minimum(ascending, descending), transverse), 3.0)
    stool = random_waves(space.points, 24.0, generator)
    canvas.paint(colon, attenuation.bowel_wall)
    canvas.paint(colon + 3, 10 + 55 * stool)
    canvas.paint(np.maximum(colon + 4, 12 - 9 * stool - 0.25 * (y - 40)), _GAS_HU)


def paint_stomach(
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


def paint_pancreas(canvas: TissueCanvas, space: AbdomenSpace, attenuation: TissueAttenuation) -> None:
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
