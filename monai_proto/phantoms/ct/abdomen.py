"""One person's abdomen before it is painted: sizes of the organs, and the room that they may fill.

Frame: that of the trunk, in mm: x right, y anterior, z superior, z 0 at the second lumbar vertebra.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["AbdomenSpace", "OrganSizes"]


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
        half_width: half of the trunk's width, a number in mm.
    """

    points: np.ndarray
    cavity: np.ndarray
    below_diaphragm: np.ndarray
    spine_y: np.ndarray
    texture: np.ndarray
    half_width: float

    def confine(self, distance: np.ndarray, gap: float = 2.0) -> np.ndarray:
        """The part of a shape that lies within the cavity and below the diaphragm, ``gap`` mm away from both."""
        return np.maximum(distance, np.maximum(self.cavity, self.below_diaphragm) + np.float32(gap))
