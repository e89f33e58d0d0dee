"""CT volumes of an abdomen in Hounsfield units, made from a seed alone."""

from __future__ import annotations

from typing import Literal

import numpy as np

from monai_proto.phantoms.ct.abdomen import AbdomenSpace, OrganSizes
from monai_proto.phantoms.ct.attenuation import CT_PHASES, TissueAttenuation
from monai_proto.phantoms.ct.organs import paint_organs
from monai_proto.phantoms.ct.trunk import (
    AIR_HU,
    Trunk,
    paint_lungs,
    paint_skeleton,
    paint_table,
    paint_wall,
)
from monai_proto.phantoms.phantom import Phantom, phantom_generator
from monai_proto.phantoms.random_fields import correlated_noise, deform, random_waves
from monai_proto.phantoms.tissue_canvas import TissueCanvas
from monai_proto.phantoms.volume_grid import VolumeGrid, make_grid, rotation_matrix

__all__ = ["CT_LABELS", "CT_PHASES", "make_ct_phantom"]

CT_LABELS = {
    "0": "background",
    "1": "liver",
    "2": "spleen",
    "3": "left_kidney",
    "4": "right_kidney",
    "5": "aorta",
}

_STREAM = 2
_AXIS_CODES = ("LPS", "RAS", "LAS", "RPS")
_HU_RANGE = (-1024, 3071)


def make_ct_phantom(
    seed: int = 0,
    index: int = 0,
    phase: Literal["native", "arterial", "portal_venous"] | None = None,
    voxel_size_mm: float = 4.0,
) -> Phantom:
    """One abdomen with labelled liver, spleen, left and right kidney and aorta.

    Around them lie what organs are mistaken for: stomach, bowel with gas and stool, pancreas, vena cava, muscle,
    gallbladder, cysts; and body wall, spine, ribs, the lungs' bases and the table. People differ in girth, organs,
    fatty livers and place in the scan; scans in phase, noise (standard deviation 10 to 25 HU, with the grain of a
    kernel), spacing, axis order and field of view. All phases of one person show the same organs.

    Args:
        seed: seed of the data set, 0 or more.
        index: number of the person, 0 or more.
        phase: contrast phase; None lets the person's number decide at random.
        voxel_size_mm: typical voxel size; the time and memory needed grow with its inverse cube.

    Returns:
        the phantom: image int16 in HU, label uint8; at 4 mm about 80 x 80 x 50 voxels.

    Raises:
        ValueError: when ``seed`` or ``index`` is negative, ``phase`` is unknown or ``voxel_size_mm`` is not positive.
    """
    if phase is not None and phase not in CT_PHASES:
        raise ValueError(f"phase must be one of {CT_PHASES} or None, got {phase!r}.")
    if not voxel_size_mm > 0:
        raise ValueError(f"voxel_size_mm must be positive, got {voxel_size_mm}.")
    person = phantom_generator(seed, _STREAM, index, 0)
    trunk, sizes = Trunk.sample(person), OrganSizes.sample(person)
    drawn_phase = CT_PHASES[int(person.integers(len(CT_PHASES)))]
    phase = phase or drawn_phase
    attenuation = TissueAttenuation.sample(phase, person)
    axis_codes = _AXIS_CODES[int(person.integers(len(_AXIS_CODES)))]

    scan = phantom_generator(seed, _STREAM, index, 1 + CT_PHASES.index(phase))
    grid = _sample_grid(trunk, axis_codes, voxel_size_mm, scan)
    canvas = TissueCanvas(grid.shape, background=AIR_HU, voxel_size=float(grid.spacing.mean()))
    _paint_abdomen(canvas, grid, trunk, sizes, attenuation, person)
    noise = correlated_noise(grid.shape, scan.uniform(10, 25), scan.uniform(0.4, 0.8), scan)
    image = np.clip(np.rint(canvas.image + noise), *_HU_RANGE).astype(np.int16)
    return Phantom(image=image, label=canvas.label, affine=grid.affine)


def _sample_grid(trunk: Trunk, axis_codes: str, voxel_size: float, generator: np.random.Generator) -> VolumeGrid:
    """A square field of view around the trunk and its table, from the lungs' bases to below the kidneys."""
    in_plane = voxel_size * generator.uniform(0.96, 1.08)
    slices = voxel_size * generator.uniform(0.9, 1.05)
    side = float(np.clip(2 * trunk.half_width + generator.uniform(10, 35), 312, 368))
    bottom, top = generator.uniform(-80, -65), generator.uniform(100, 145)
    centre = (generator.uniform(-6, 6), generator.uniform(-14, -4), 0.5 * (bottom + top))
    return make_grid((side, side, top - bottom), (in_plane, in_plane, slices), axis_codes, centre)


def _paint_abdomen(
    canvas: TissueCanvas,
    grid: VolumeGrid,
    trunk: Trunk,
    sizes: OrganSizes,
    attenuation: TissueAttenuation,
    generator: np.random.Generator,
) -> None:
    """Paint the table, the trunk and the organs of one person."""
    scanner_points = grid.world_coordinates()
    paint_table(canvas, scanner_points, trunk)
    lying = rotation_matrix(generator.uniform((-3, -2, -5), (3, 2, 5)))
    points = np.einsum("ij,jdhw->idhw", lying.T.astype(np.float32), scanner_points)
    points = deform(points, 2.2, 90.0, generator)
    texture = random_waves(points, 18.0, generator)

    skin = trunk.skin_distance(points)
    cavity, diaphragm = trunk.cavity_distance(skin), trunk.diaphragm_distance(points)
    paint_wall(canvas, points, skin, trunk, attenuation.muscle, texture)
    paint_lungs(canvas, points, cavity, diaphragm, trunk, generator)
    space = AbdomenSpace(points, cavity, diaphragm, trunk.spine_centre(points[2]), texture, trunk.half_width)
    paint_organs(canvas, space, sizes, attenuation, generator)
    paint_skeleton(canvas, points, skin, trunk)
    canvas.keep_largest_components()
