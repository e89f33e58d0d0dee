"""MRI crops of a hippocampus-like structure, made from a seed alone."""

from __future__ import annotations

from typing import Literal

import numpy as np

from monai_proto.phantoms.mri.temporal_lobe import TemporalLobe, TissueContrast
from monai_proto.phantoms.mri.temporal_lobe_painting import paint_temporal_lobe
from monai_proto.phantoms.phantom import Phantom, phantom_generator
from monai_proto.phantoms.random_fields import add_rician_noise, bias_field
from monai_proto.phantoms.tissue_canvas import TissueCanvas
from monai_proto.phantoms.volume_grid import VolumeGrid, make_grid, rotation_matrix

__all__ = ["MRI_LABELS", "make_mri_phantom"]

MRI_LABELS = {"0": "background", "1": "anterior", "2": "posterior"}

_STREAM = 1
_SIDES: tuple[Literal["left", "right"], ...] = ("left", "right")
_AXIS_CODES = ("RAS", "LPS", "LAS", "RPS", "LSA", "PSR")
# RAS coordinates of a left hippocampus's centre in the head
_LEFT_CENTRE = np.array([-27.0, -20.0, -15.0])


def make_mri_phantom(seed: int = 0, index: int = 0, side: Literal["left", "right"] | None = None) -> Phantom:
    """One T1-like crop around a hippocampus-like structure in two touching parts.

    The head (label 1, anterior) and the body with tail (label 2, posterior) form one curved tube. Around it lie
    structures of the same grey that have no label: an amygdala in touch with the head, a gyrus that runs parallel,
    folded cortex; and a dark ventricle horn, cistern and brainstem. People differ in shape, pose, contrast, age-like
    shrinkage; scans in coil bias, Rician noise, intensity scale (10^2 to 10^5), spacing (0.8 to 1.3 mm), axis order
    and obliquity. Both sides of a person come from one scan.

    Args:
        seed: seed of the data set, 0 or more.
        index: number of the person, 0 or more.
        side: ``"left"`` or ``"right"``; None lets the person's number decide at random.

    Returns:
        the phantom: image float32 with whole numbers from 0 up, label uint8, both about 35 x 50 x 37 mm.

    Raises:
        ValueError: when ``seed`` or ``index`` is negative or ``side`` is unknown.
    """
    if side is not None and side not in _SIDES:
        raise ValueError(f"side must be one of {_SIDES} or None, got {side!r}.")
    person = phantom_generator(seed, _STREAM, index, 0)
    lobe, contrast = TemporalLobe.sample(person), TissueContrast.sample(person)
    drawn_side = _SIDES[int(person.integers(2))]
    side = side or drawn_side
    scan = _Scan(person)

    crop = phantom_generator(seed, _STREAM, index, 1 + _SIDES.index(side))
    grid = scan.grid(side, crop)
    canvas = TissueCanvas(grid.shape, background=1.0, voxel_size=float(grid.spacing.mean()))
    paint_temporal_lobe(canvas, _to_lobe_frame(grid, side, crop), lobe, contrast, crop)
    return Phantom(image=scan.acquire(canvas.image, crop), label=canvas.label, affine=grid.affine)


class _Scan:
    """How one person was scanned: the same for both sides.

    Args:
        generator: the person's random stream.
    """

    def __init__(self, generator: np.random.Generator) -> None:
        in_plane = generator.uniform(0.8, 1.2)
        self.axis_codes = _AXIS_CODES[int(generator.choice(len(_AXIS_CODES), p=(0.3, 0.25, 0.2, 0.15, 0.05, 0.05)))]
        self.spacing = (in_plane, in_plane, float(np.clip(in_plane * generator.uniform(0.9, 1.35), 0.8, 1.3)))
        oblique = generator.random() < 0.5
        self.rotation = rotation_matrix(generator.uniform(-8, 8, 3)) if oblique else None
        self.noise = generator.uniform(0.012, 0.032)
        self.bias = generator.uniform(0.04, 0.14)
        self.scale = 10 ** generator.uniform(2.1, 5.0)

    def grid(self, side: str, generator: np.random.Generator) -> VolumeGrid:
        """A crop around the structure of one side, of varied size and centring."""
        centre = _side_sign(side) * _LEFT_CENTRE + generator.uniform(-1.5, 1.5, 3)
        extent = generator.uniform((34.0, 49.0, 34.0), (39.0, 53.0, 39.0))
        return make_grid(extent, self.spacing, self.axis_codes, centre, self.rotation)

    def acquire(self, signal: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Tissue signal to an image in the scanner's units, whole numbers as scanners store them."""
        biased = np.clip(signal, 0, None) * bias_field(signal.shape, self.bias, generator)
        return np.rint(add_rician_noise(biased, self.noise, generator) * self.scale).astype(np.float32)


def _side_sign(side: str) -> np.ndarray:
    """Factors (3,) that mirror a left structure to the given side."""
    return np.array([1.0 if side == "left" else -1.0, 1.0, 1.0])


def _to_lobe_frame(grid: VolumeGrid, side: str, generator: np.random.Generator) -> np.ndarray:
    """Voxel centres in the frame of the temporal lobe, with this side's pose and asymmetry, (3, D, H, W) in mm."""
    pose = rotation_matrix(generator.uniform(-5, 5, 3)) / generator.uniform(0.97, 1.03)
    sign = _side_sign(side)
    points = grid.world_coordinates()
    centred = [
        (points[axis] - np.float32(sign[axis] * _LEFT_CENTRE[axis])) * np.float32(sign[axis]) for axis in range(3)
    ]
    return np.stack([sum(np.float32(pose[row, axis]) * centred[axis] for axis in range(3)) for row in range(3)])
