"""Signed distances of the shapes that phantoms are made of: negative inside, in mm, smooth across the surface.

Distances are first-order: exact at the surface, approximate away from it, which is all that partial volume needs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["ellipsoid_distance", "smooth_union", "tube_distance"]


def ellipsoid_distance(
    points: np.ndarray,
    centre: Sequence[float] | np.ndarray,
    radii: Sequence[float],
    rotation: np.ndarray | None = None,
) -> np.ndarray:
    """Distance to an ellipsoid.

    Args:
        points: coordinates (3, ...) in mm.
        centre: centre in mm.
        radii: half axes in mm.
        rotation: (3, 3), turns the ellipsoid about its centre; None for none.
    """
    x, y, z = (points[axis] - np.float32(centre[axis]) for axis in range(3))
    if rotation is not None:
        # a row of the transposed rotation brings the points into the ellipsoid's own frame
        x, y, z = (sum(np.float32(rotation[row, axis]) * p for row, p in enumerate((x, y, z))) for axis in range(3))
    x, y, z = (component / np.float32(radius) for component, radius in zip((x, y, z), radii, strict=True))
    scaled = np.sqrt(x * x + y * y + z * z)
    x, y, z = (component / np.float32(radius) for component, radius in zip((x, y, z), radii, strict=True))
    gradient = np.sqrt(x * x + y * y + z * z)
    # the centre, where the gradient vanishes, lies one smallest radius deep
    return np.where(
        gradient > 1e-6, scaled * (scaled - 1) / np.maximum(gradient, np.float32(1e-6)), -np.float32(min(radii))
    )


def tube_distance(
    across: np.ndarray, up: np.ndarray, half_width: np.ndarray, half_height: np.ndarray, tilt_degrees: float = 0.0
) -> np.ndarray:
    """Distance to a tube of elliptic cross-section that varies along its course.

    The caller chooses the course: all arrays are taken at the same points, and give the offset of each point from the
    centre line in its cross-section and the size of the tube there. Where a half axis is 0 or less the tube has ended.

    Args:
        across, up: offset from the centre line along the two axes of the cross-section, in mm.
        half_width, half_height: half axes of the cross-section, in mm.
        tilt_degrees: turn of the cross-section, counter-clockwise.
    """
    cosine, sine = np.float32(np.cos(np.deg2rad(tilt_degrees))), np.float32(np.sin(np.deg2rad(tilt_degrees)))
    across, up = cosine * across + sine * up, cosine * up - sine * across
    smallest = np.float32(0.1)
    width, height = np.maximum(half_width, smallest), np.maximum(half_height, smallest)
    u, v = across / width, up / height
    scaled = np.sqrt(u * u + v * v)
    gradient = np.sqrt((u / width) ** 2 + (v / height) ** 2)
    distance = scaled * (scaled - 1) / np.maximum(gradient, np.float32(1e-6))
    ended = np.minimum(half_width, half_height) <= smallest
    return np.where(ended, np.maximum(distance, smallest), distance)


def smooth_union(first: np.ndarray, second: np.ndarray, blend: float) -> np.ndarray:
    """Union of two shapes whose seam is rounded over ``blend`` mm, as where two lobes of one organ meet."""
    overlap = np.clip(0.5 + 0.5 * (second - first) / np.float32(blend), 0, 1)
    return second + (first - second) * overlap - np.float32(blend) * overlap * (1 - overlap)
