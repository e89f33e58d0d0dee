"""The trunk around the abdominal organs as shapes: skin, fat, muscle, spine, ribs, lungs, and the scanner's table.

Frame: millimetres from the middle of the trunk at the second lumbar vertebra, x right, y anterior, z superior.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from monai_proto.phantoms.random_fields import random_waves
from monai_proto.phantoms.shapes import ellipsoid_distance, tube_distance
from monai_proto.phantoms.tissue_canvas import TissueCanvas

__all__ = ["AIR_HU", "FAT_HU", "Trunk", "paint_lungs", "paint_skeleton", "paint_table", "paint_wall"]

AIR_HU = -1000.0
FAT_HU = -102.0
_LUNG_HU = -830.0
_VERTEBRA_PERIOD = 33.0
_RIB_PERIOD = 27.0


@dataclass(frozen=True)
class Trunk:
    """Sizes of one person, in mm."""

    half_width: float
    half_depth: float
    fat: float
    muscle: float
    spine_y: float
    lordosis: float
    vertebra_offset: float
    rib_offset: float
    dome_height: float
    bone_hu: float

    @classmethod
    def sample(cls, generator: np.random.Generator) -> Trunk:
        """One person, from slim to obese; bone loses attenuation with age."""
        girth = generator.uniform(0, 1)
        half_depth = generator.uniform(92, 102) + 18 * girth
        return cls(
            half_width=generator.uniform(130, 145) + 25 * girth,
            half_depth=half_depth,
            fat=generator.uniform(7, 12) + 16 * girth,
            muscle=generator.uniform(10, 15),
            spine_y=-0.5 * half_depth,
            lordosis=generator.uniform(3, 10),
            vertebra_offset=generator.uniform(0, _VERTEBRA_PERIOD),
            rib_offset=generator.uniform(0, _RIB_PERIOD),
            dome_height=generator.uniform(95, 125),
            bone_hu=generator.uniform(140, 260),
        )

    def skin_distance(self, points: np.ndarray) -> np.ndarray:
        """Distance to the skin in mm, negative inside: between ellipse and rectangle, narrower at the waist."""
        x, y, z = points
        waist = 1 - 0.05 * np.exp(-((z + 30) ** 2) / 4000)
        u, v = np.abs(x) / (self.half_width * waist), np.abs(y) / self.half_depth
        scaled = np.maximum((u**2.4 + v**2.4) ** np.float32(1 / 2.4), np.float32(1e-3))
        return (scaled - 1) / scaled * np.sqrt(x * x + y * y)

    def cavity_distance(self, skin: np.ndarray) -> np.ndarray:
        """Distance to the inner side of the muscular wall in mm, negative in the cavity; ``skin`` from above."""
        return skin + np.float32(self.fat + self.muscle)

    def diaphragm_distance(self, points: np.ndarray) -> np.ndarray:
        """Distance to the domes of the diaphragm in mm, negative below them."""
        top = self.dome_height
        right = ellipsoid_distance(points, (0.5 * self.half_width, -2.0, 15.0), (82.0, 98.0, top - 15.0))
        left = ellipsoid_distance(points, (-0.5 * self.half_width, -4.0, 10.0), (82.0, 94.0, top - 20.0))
        middle = ellipsoid_distance(points, (0.0, 20.0, 10.0), (70.0, 80.0, top - 25.0))
        domes = np.minimum(np.minimum(right, left), middle)
        return np.where(points[2] < 15.0, np.minimum(domes, -1.0), domes)

    def spine_centre(self, z: np.ndarray) -> np.ndarray:
        """Anterior position of the vertebral bodies' centre at the heights ``z``, in mm."""
        return np.float32(self.spine_y) + np.float32(self.lordosis) * np.cos(z / np.float32(75.0))


def paint_table(canvas: TissueCanvas, points: np.ndarray, trunk: Trunk) -> None:
    """The curved table top below the back: two shells around foam; ``points`` are the scanner's, not the body's."""
    x, y, _ = points
    surface = np.float32(-trunk.half_depth - 9.0) + np.float32(0.0011) * x * x
    beside = np.abs(x) - 200
    canvas.paint(np.maximum(np.maximum(y - surface, surface - 32 - y), beside), AIR_HU + 60)
    canvas.paint(np.maximum(np.abs(y - surface) - 2, beside), 40.0)
    canvas.paint(np.maximum(np.abs(y - surface + 32) - 2, beside), -60.0)


def paint_wall(
    canvas: TissueCanvas, points: np.ndarray, skin: np.ndarray, trunk: Trunk, muscle_hu: float, texture: np.ndarray
) -> None:
    """Skin, subcutaneous fat, the muscular wall and the fat of the cavity, with the muscles of the back.

    Args:
        canvas: in HU.
        points: coordinates (3, D, H, W) in mm.
        skin: distance to the skin in mm.
        trunk: the person's sizes.
        muscle_hu: attenuation of muscle in HU.
        texture: a field of unit variance (D, H, W).
    """
    canvas.paint(skin, 20.0)
    canvas.paint(skin + 2.5, FAT_HU + 6 * texture)
    muscle = muscle_hu + 6 * texture
    canvas.paint(skin + np.float32(trunk.fat), muscle)
    cavity = trunk.cavity_distance(skin)
    canvas.paint(cavity, FAT_HU + 12 * texture)
    x, y, z = points
    behind = trunk.spine_centre(z)
    inside = skin + np.float32(0.6 * trunk.fat)
    for side in (-1, 1):
        back = tube_distance(x - side * 34, y - behind + 35, np.full_like(x, 33.0), np.full_like(x, 23.0), side * 8.0)
        canvas.paint(np.maximum(back, inside), muscle)
        size = np.clip(16 - 0.13 * z, 0, 24).astype(np.float32)
        psoas = tube_distance(x - side * (24 + size), y - behind - 2, size, size * np.float32(1.1))
        canvas.paint(psoas, muscle)


def paint_skeleton(canvas: TissueCanvas, points: np.ndarray, skin: np.ndarray, trunk: Trunk) -> None:
    """Vertebrae with discs, canal and processes, and the ribs down to the costal margin."""
    x, y, z = points
    _paint_ribs(canvas, points, skin, trunk)
    ahead = y - trunk.spine_centre(z)
    level = np.mod(z + np.float32(trunk.vertebra_offset), _VERTEBRA_PERIOD) - np.float32(0.5 * _VERTEBRA_PERIOD)
    hard = np.float32(trunk.bone_hu + 260)
    soft = np.float32(trunk.bone_hu)
    arch = tube_distance(x, ahead + 26, np.full_like(x, 17.0), np.full_like(x, 15.0))
    canvas.paint(np.maximum(arch, np.abs(level) - 12), hard - 120)
    spinous = np.maximum(np.maximum(np.abs(x) - 3.5, np.abs(ahead + 46) - 16), np.abs(level) - 9)
    canvas.paint(spinous, hard - 80)
    transverse = np.maximum(np.maximum(np.abs(ahead + 22) - 4, np.abs(x) - 36), np.abs(level + 2) - 5)
    canvas.paint(transverse, hard - 100)
    canvas.paint(tube_distance(x, ahead + 27, np.full_like(x, 10.0), np.full_like(x, 8.5)), 30.0)
    flare = 1 + 0.08 * (level / (0.5 * _VERTEBRA_PERIOD)) ** 2
    body = tube_distance(x, ahead, np.float32(22.0) * flare, np.float32(16.5) * flare)
    canvas.paint(body, 85.0)
    bone = np.maximum(body, np.abs(level) - 13)
    canvas.paint(bone, hard)
    canvas.paint(bone + 2.8, soft)


def _paint_ribs(canvas: TissueCanvas, points: np.ndarray, skin: np.ndarray, trunk: Trunk) -> None:
    """Ribs in the muscular wall: hoops that fall towards the front and end at the costal margin."""
    _, y, z = points
    height = z + np.float32(0.55) * (y - np.float32(trunk.spine_y)) + np.float32(trunk.rib_offset)
    to_rib = np.mod(height, _RIB_PERIOD) - np.float32(0.5 * _RIB_PERIOD)
    depth = skin + np.float32(trunk.fat + 0.5 * trunk.muscle)
    hoop = np.sqrt((0.85 * to_rib) ** 2 + (1.4 * depth) ** 2) - 5.5
    margin = 5 + 0.75 * (y - np.float32(trunk.spine_y)) - z
    behind_spine = 25 - np.abs(points[0])
    ribs = np.maximum(np.maximum(hoop, margin), behind_spine)
    canvas.paint(ribs, trunk.bone_hu + 300)
    canvas.paint(ribs + 3, trunk.bone_hu)


def paint_lungs(
    canvas: TissueCanvas,
    points: np.ndarray,
    cavity: np.ndarray,
    diaphragm: np.ndarray,
    trunk: Trunk,
    generator: np.random.Generator,
) -> None:
    """Lungs with vessels above the diaphragm, and the heart between them; ``cavity``, ``diaphragm`` distances in mm."""
    lung = np.maximum(np.maximum(-diaphragm, cavity + 1), -10 - points[2])
    mediastinum = np.abs(points[0] + 4) - 20 - 0.1 * np.abs(points[1])
    vessels = np.clip(random_waves(points, 17.0, generator) - 1.5, 0, None)
    canvas.paint(np.maximum(lung, -mediastinum), _LUNG_HU + 500 * vessels)
    heart = ellipsoid_distance(points, (-22.0, 28.0, trunk.dome_height + 22.0), (64.0, 50.0, 42.0))
    canvas.paint(np.maximum(heart, lung), 50.0)
