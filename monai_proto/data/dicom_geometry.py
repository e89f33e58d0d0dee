"""Puts slices in order by where they lie, and tells whether they make up a regular grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["GeometryError", "SliceStack", "stack_slices"]

_DIRECTION_TOLERANCE = 1e-3  # headers round direction cosines to four digits and more
_STEP_TOLERANCE = 0.01  # of the slice spacing, and at least the following
_POSITION_TOLERANCE = 0.01  # mm; headers round positions to two digits and more


class GeometryError(ValueError):
    """The slices make up no regular grid; the message says why."""


@dataclass(frozen=True)
class SliceStack:
    """
    A regular grid made of slices.

    Args:
        order: index of the slice that comes first, second, ... along the normal of the slices.
        affine: indices (column, row, slice in that order) to mm in LPS+ coordinates, DICOM's (4, 4).
    """

    order: tuple[int, ...]
    affine: np.ndarray


def stack_slices(
    positions: Sequence[Sequence[float]], orientations: Sequence[Sequence[float]], spacings: Sequence[Sequence[float]]
) -> SliceStack:
    """
    Order slices by their position projected on their normal; file names and instance numbers take no part.

    Args:
        positions: ImagePositionPatient of each slice, mm, LPS+ (N, 3), N at least 2.
        orientations: ImageOrientationPatient of each slice (N, 6).
        spacings: PixelSpacing of each slice: mm between rows, mm between columns (N, 2).

    Raises:
        GeometryError: slices are not parallel, are of different pixel sizes, lie at the same place, are missing,
            are unevenly spaced, or are sheared against each other (gantry tilt).
    """
    origins, spacing = np.asarray(positions, float), np.asarray(spacings, float)
    rows, columns = _directions(np.asarray(orientations, float))
    if np.ptp(spacing, axis=0).max() > 1e-4 or not (spacing > 0).all():
        raise GeometryError("slices of different pixel spacing, or of none")
    if len(origins) < 2:
        raise GeometryError("a single slice: no volume")
    normal = np.cross(rows, columns)
    depths = origins @ normal
    order = np.argsort(depths, kind="stable")
    origins, depths = origins[order], depths[order]
    _require_even_steps(depths)
    step = (origins[-1] - origins[0]) / (len(origins) - 1)
    tolerance = max(_POSITION_TOLERANCE, _STEP_TOLERANCE * float(step @ normal))
    drift = origins - origins[0] - np.outer(depths - depths[0], normal)
    if np.linalg.norm(drift, axis=1).max() > tolerance:
        shear = step - (step @ normal) * normal
        angle = np.degrees(np.arctan2(np.linalg.norm(shear), step @ normal))
        raise GeometryError(f"gantry tilt: slices are shifted against each other by {angle:.1f} degrees")
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1], affine[:3, 2] = rows * spacing[0, 1], columns * spacing[0, 0], step
    affine[:3, 3] = origins[0]
    return SliceStack(tuple(int(index) for index in order), affine)


def _directions(orientations: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if np.ptp(orientations, axis=0).max() > _DIRECTION_TOLERANCE:
        raise GeometryError("slices of different orientations, as in a localizer")
    rows, columns = orientations[0, :3], orientations[0, 3:]
    lengths = np.array([np.linalg.norm(rows), np.linalg.norm(columns)])
    if np.abs(lengths - 1).max() > _DIRECTION_TOLERANCE or abs(rows @ columns) > _DIRECTION_TOLERANCE:
        raise GeometryError("orientation is not made of two perpendicular unit vectors")
    rows = rows / lengths[0]
    columns = columns - (columns @ rows) * rows  # rounding in the header must not shear the grid
    return rows, columns / np.linalg.norm(columns)


def _require_even_steps(depths: np.ndarray) -> None:
    steps = np.diff(depths)
    same = int((steps < _POSITION_TOLERANCE).sum())
    if same:
        raise GeometryError(
            f"{same} slices lie where another one does: several time points, echoes or reconstructions in one series"
        )
    usual = float(np.sort(steps)[(len(steps) - 1) // 2])  # the lower median: of two steps, the larger one is the gap
    even = depths[0] + np.arange(len(depths)) * (depths[-1] - depths[0]) / (len(depths) - 1)
    if np.abs(depths - even).max() <= max(_POSITION_TOLERANCE, _STEP_TOLERANCE * usual):
        return
    multiples = np.rint(steps / usual)
    if (multiples >= 1).all() and np.abs(steps - multiples * usual).max() <= max(0.02, 0.05 * usual):
        gaps = np.flatnonzero(multiples > 1)
        missing = int((multiples[gaps] - 1).sum())
        if missing:
            where = ", ".join(f"between {depths[gap]:g} and {depths[gap + 1]:g} mm" for gap in gaps[:3])
            raise GeometryError(f"missing slices: {missing}, {where}{' ...' if len(gaps) > 3 else ''}")
    raise GeometryError(f"variable slice spacing: {steps.min():.4g} to {steps.max():.4g} mm")
