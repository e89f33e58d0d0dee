"""Paints what a hippocampus crop shows: the labelled structure among those that it can be mistaken for.

Frame: that of `temporal_lobe`, in mm: x towards the middle of the head, y anterior, z superior, mirrored on the right.
"""

from __future__ import annotations

import numpy as np

from monai_proto.phantoms.mri.temporal_lobe import TemporalLobe, TissueContrast
from monai_proto.phantoms.random_fields import deform, random_waves
from monai_proto.phantoms.shapes import ellipsoid_distance, smooth_union, tube_distance
from monai_proto.phantoms.tissue_canvas import TissueCanvas

__all__ = ["ANTERIOR", "POSTERIOR", "paint_temporal_lobe"]

ANTERIOR = 1
POSTERIOR = 2


def paint_temporal_lobe(
    canvas: TissueCanvas,
    points: np.ndarray,
    lobe: TemporalLobe,
    contrast: TissueContrast,
    generator: np.random.Generator,
) -> None:
    """Paint everything that a hippocampus crop shows, from the back to the front.

    Args:
        canvas: filled with white matter of signal 1.
        points: coordinates (3, D, H, W) of the voxels in the temporal lobe's frame.
        lobe: the person's shapes.
        contrast: the scan's contrast.
        generator: source of folds, deformation and texture.
    """
    canvas.image += 0.03 * random_waves(points, 14.0, generator)
    _paint_folded_cortex(canvas, points, lobe, contrast, generator)
    bent = deform(points, 0.45, 15.0, generator)
    _paint_deep_structures(canvas, bent, lobe, contrast, generator)
    _paint_parallel_gyrus(canvas, bent, lobe, contrast)
    _paint_temporal_horn(canvas, bent, lobe, contrast, generator)
    _paint_amygdala(canvas, bent, lobe, contrast, generator)
    _paint_hippocampus(canvas, bent, lobe, contrast, generator)
    _paint_vessels(canvas, points, contrast, generator)
    canvas.keep_largest_components()


def _paint_folded_cortex(
    canvas: TissueCanvas,
    points: np.ndarray,
    lobe: TemporalLobe,
    contrast: TissueContrast,
    generator: np.random.Generator,
) -> None:
    """Gyri below and beside the hippocampus: grey ribbons along the sheets where a random field vanishes."""
    field = random_waves(deform(points, 1.0, 9.0, generator), lobe.fold_wavelength, generator, num_waves=5)
    to_sulcus = np.abs(field) * np.float32(lobe.fold_wavelength / 6.0)
    # cortex lies below and to the side; the white matter of the temporal stem surrounds the hippocampus itself
    to_stem = ellipsoid_distance(points, (0.0, -4.0, 6.0), (15.0, 60.0, 16.0))
    to_cortex = np.maximum(-to_stem, points[2] + np.float32(0.2) * points[0] - 6.0)
    inside = np.maximum(to_sulcus - 3.2, to_cortex)
    canvas.paint(inside, contrast.grey + 0.04 * random_waves(points, 6.0, generator))
    canvas.paint(np.maximum(to_sulcus - 0.7, to_cortex + 2.0), contrast.fluid + 0.12)


def _paint_deep_structures(
    canvas: TissueCanvas,
    points: np.ndarray,
    lobe: TemporalLobe,
    contrast: TissueContrast,
    generator: np.random.Generator,
) -> None:
    """Thalamus above, basal grey matter in front, the brainstem in its cistern towards the middle."""
    mottled = 0.05 * random_waves(points, 9.0, generator)
    basal = ellipsoid_distance(points, (-1.0, 19.0, 15.0), (17.0, 13.0, 11.0))
    canvas.paint(basal, 0.5 * (contrast.grey + contrast.thalamus) + mottled)
    thalamus = ellipsoid_distance(points, (12.0, -9.0, 19.0), (14.0, 15.0, 11.0))
    brainstem = ellipsoid_distance(points, (25.0, -12.0, 0.0), (12.0, 13.0, 24.0))
    canvas.paint(np.minimum(thalamus - 0.4 * lobe.cistern_width, brainstem - lobe.cistern_width), contrast.fluid)
    canvas.paint(thalamus, contrast.thalamus + mottled)
    canvas.paint(brainstem, 0.5 * (contrast.thalamus + 1.0) + mottled)


def _paint_parallel_gyrus(
    canvas: TissueCanvas, points: np.ndarray, lobe: TemporalLobe, contrast: TissueContrast
) -> None:
    """The parahippocampal gyrus: a grey sheet around a white core, parallel to the hippocampus and joined to its edge.

    It runs with the hippocampus's curve and has its grey: the first thing to confuse it with.
    """
    x, z = lobe.centre_line(points[1])
    depth = np.float32(lobe.gyrus_depth)
    across, up = points[0] - x - 1.5, points[2] - z + 0.55 * depth
    half_width, half_height = np.full_like(across, 8.0), np.full_like(across, 0.5 * depth)
    core = tube_distance(across, up, half_width, half_height, lobe.tilt)
    # the sheet ends at the side, where the white core goes over into the temporal stem
    to_side = -across - 5.5 - 0.25 * up
    fluid = core - np.float32(lobe.gyrus_thickness + 0.4 * lobe.cistern_width)
    canvas.paint(np.maximum(fluid, to_side + 2.0), contrast.fluid + 0.05)
    canvas.paint(np.maximum(core - np.float32(lobe.gyrus_thickness), to_side), contrast.hippocampus)
    canvas.paint(core, 0.97)


def _paint_temporal_horn(
    canvas: TissueCanvas,
    points: np.ndarray,
    lobe: TemporalLobe,
    contrast: TissueContrast,
    generator: np.random.Generator,
) -> None:
    """The ventricle's horn: a dark crescent above and beside the hippocampus, wide in some places, closed in others."""
    x, z = lobe.centre_line(points[1])
    half_width, half_height = lobe.cross_section(points[1] * 0.95)
    widening = np.float32(lobe.horn_width) * np.clip(0.7 + 0.6 * random_waves(points, 26.0, generator), 0, 1.6)
    horn = tube_distance(
        points[0] - x + 0.5, points[2] - z - 0.5, half_width + 0.6 * widening, half_height + 0.6 * widening, lobe.tilt
    )
    canvas.paint(np.where(widening > 0.15, horn, np.float32(9.0)), contrast.fluid)


def _paint_amygdala(
    canvas: TissueCanvas,
    points: np.ndarray,
    lobe: TemporalLobe,
    contrast: TissueContrast,
    generator: np.random.Generator,
) -> None:
    """A grey body in front of and above the head, in touch with it or behind a thin white sheet."""
    y = np.float32(0.80 * lobe.half_length)
    x, z = lobe.centre_line(y)
    half_height = lobe.cross_section(y)[1]
    size = lobe.amygdala_size
    centre = np.array((x + 2.0, y + 2.5, z + half_height + 0.75 * size + lobe.amygdala_gap))
    texture = 0.04 * random_waves(points, 7.0, generator)
    distance = ellipsoid_distance(points, centre, (1.1 * size, size, 0.8 * size))
    canvas.paint(distance, contrast.amygdala + texture)
    # grey matter in front of the head, so that its end is no edge either
    tip = np.array((x - 1.0, lobe.half_length + 6.0, z - 3.0))
    front = ellipsoid_distance(points, tip, (9.0, 5.0, 6.0))
    canvas.paint(front, contrast.grey + texture)


def _paint_hippocampus(
    canvas: TissueCanvas,
    points: np.ndarray,
    lobe: TemporalLobe,
    contrast: TissueContrast,
    generator: np.random.Generator,
) -> None:
    """The labelled structure: head with uncus (anterior), body and tail (posterior), in one piece."""
    y = points[1]
    x, z = lobe.centre_line(y)
    half_width, half_height = lobe.cross_section(y)
    across, up = points[0] - x, points[2] - z
    tube = tube_distance(across, up, half_width, half_height, lobe.tilt)
    uncus = ellipsoid_distance(points, tuple(lobe.uncus_centre), (5.5, lobe.uncus_length, 4.2 * lobe.height))
    whole = smooth_union(tube, uncus, 3.0)
    to_body = y - np.float32(lobe.head_boundary)

    grey = contrast.hippocampus + 0.035 * random_waves(points, 5.0, generator)
    # alveus and fimbria: a thin coat of white matter on the upper surface, part of the structure
    canvas.paint(whole, np.float32(0.5 * contrast.hippocampus + 0.5))
    canvas.paint(np.maximum(whole + 0.1, up - 0.72 * half_height), grey)
    # the strata inside, a pale line along the tube
    strata = tube_distance(across - 0.8, up + 0.4, 0.55 * half_width, np.full_like(half_height, 0.55), lobe.tilt)
    canvas.paint(np.maximum(strata, whole + 2.0), np.float32(contrast.hippocampus + 0.12))
    canvas.label[(whole < 0) & (to_body >= 0)] = ANTERIOR
    canvas.label[(whole < 0) & (to_body < 0)] = POSTERIOR


def _paint_vessels(
    canvas: TissueCanvas, points: np.ndarray, contrast: TissueContrast, generator: np.random.Generator
) -> None:
    """Small vessels in the cistern, bright by inflow or dark by flow void."""
    for _ in range(4):
        centre = generator.uniform((8.0, -18.0, -6.0), (18.0, 16.0, 12.0))
        bright = generator.random() < 0.6
        free = np.where(canvas.label > 0, np.float32(9.0), 0)
        distance = ellipsoid_distance(points, tuple(centre), (1.3, 2.5, 1.3))
        canvas.paint(np.maximum(distance, free), 1.35 if bright else contrast.fluid)
