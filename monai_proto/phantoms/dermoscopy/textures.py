"""The patterns of dermoscopy as functions of the place on the skin: cells, pigment network, globules, patches.

All take points (3, H, W) in mm and hand back (H, W) float32; two views of a lesion show the same pattern.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

__all__ = ["CellPattern", "bend", "cell_pattern", "globules", "network", "patches", "skin_noise"]

_PERIOD = 64  # patterns repeat after so many cells, far outside the image; a power of two
_WRAP = _PERIOD - 1  # `i & _WRAP` is `i % _PERIOD`, and faster
_ROW_HEIGHT = np.float32(np.sqrt(3) / 2)  # rows of a hexagonal lattice


class CellPattern(NamedTuple):
    """Skin divided into cells around scattered centres, each (H, W) float32.

    Attributes:
        to_centre: distance to the nearest centre, in mm.
        to_wall: distance to the wall to the next cell, in mm; first-order, exact at the wall.
        value: a number of the cell's own, evenly distributed between 0 and 1.
    """

    to_centre: np.ndarray
    to_wall: np.ndarray
    value: np.ndarray


def skin_noise(points: np.ndarray, wavelength: float, generator: np.random.Generator, octaves: int = 3) -> np.ndarray:
    """A smooth field of zero mean and unit variance with detail down to ``wavelength / 2 ** (octaves - 1)``.

    Value noise, as in ray tracing: random numbers on a lattice, blended in between; each octave on a lattice turned
    by an angle of its own, so that none shows. Three times faster than as many plane waves, and without their stripes.

    Args:
        points: coordinates (3, H, W) in mm; depth is ignored.
        wavelength: typical distance between two blotches in mm.
        generator: source of the numbers and angles.
        octaves: how many lattices are added, each half as wide and half as strong as the one before.
    """
    field = np.zeros(points.shape[1:], dtype=np.float32)
    for octave in range(octaves):
        lattice = generator.standard_normal(_PERIOD * _PERIOD, dtype=np.float32)
        angle, (shift_x, shift_y) = generator.uniform(0, 2 * np.pi), generator.uniform(0, _PERIOD, size=2)
        per_mm = 2 * 2**octave / wavelength
        cosine, sine = np.float32(per_mm * np.cos(angle)), np.float32(per_mm * np.sin(angle))
        x = cosine * points[0] + sine * points[1] + np.float32(shift_x)
        y = cosine * points[1] - sine * points[0] + np.float32(shift_y)
        field += np.float32(0.5**octave) * _between_lattice_points(lattice, x, y)
    # blending lowers the variance of one octave to (26/35)^2
    variance = (26 / 35) ** 2 * sum(0.25**octave for octave in range(octaves))
    return field * np.float32(1 / np.sqrt(variance))


def _between_lattice_points(lattice: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Values of a periodic lattice, blended smoothly; by ``ndimage.map_coordinates`` it takes four times longer."""
    whole_x, whole_y = np.floor(x), np.floor(y)
    x, y = x - whole_x, y - whole_y
    x, y = x * x * (3 - 2 * x), y * y * (3 - 2 * y)
    column, row = whole_x.astype(np.intp), whole_y.astype(np.intp)
    left, right = column & _WRAP, (column + 1) & _WRAP
    above, below = (row & _WRAP) * _PERIOD, ((row + 1) & _WRAP) * _PERIOD
    top = lattice.take(above + left)
    top += x * (lattice.take(above + right) - top)
    bottom = lattice.take(below + left)
    bottom += x * (lattice.take(below + right) - bottom)
    return top + y * (bottom - top)


def bend(points: np.ndarray, amplitude: float, wavelength: float, generator: np.random.Generator) -> np.ndarray:
    """Points (3, H, W) moved along the surface by a smooth random displacement of ``amplitude`` mm on each axis."""
    moved = points.copy()
    for axis in (0, 1):
        moved[axis] += np.float32(amplitude) * skin_noise(points, wavelength, generator, octaves=1)
    return moved


def cell_pattern(
    points: np.ndarray, spacing: float, generator: np.random.Generator, disorder: float = 0.8
) -> CellPattern:
    """Cells as after Worley (SIGGRAPH 1996): one centre at each point of a hexagonal lattice, moved at random.

    Args:
        points: coordinates (3, H, W) in mm; depth is ignored.
        spacing: mean distance between centres in mm.
        generator: source of the centres.
        disorder: how far centres leave the lattice: 0 not at all, 1 up to half the spacing on each axis.
    """
    offset_x, offset_y = (0.5 + disorder * (generator.random((2, _PERIOD * _PERIOD)) - 0.5)).astype(np.float32)
    values = generator.random(_PERIOD * _PERIOD).astype(np.float32)
    x, y = points[0] / np.float32(spacing), points[1] / (np.float32(spacing) * _ROW_HEIGHT)
    row_here = np.floor(y).astype(np.intp)
    nearest = np.full(x.shape, np.inf, dtype=np.float32)
    second, cell = nearest.copy(), np.zeros(x.shape, dtype=np.intp)
    for row in (row_here - 1, row_here, row_here + 1):
        x_in_row = x - np.float32(0.5) * (row & 1).astype(np.float32)
        column_here = np.floor(x_in_row).astype(np.intp)
        down = (row - y).astype(np.float32)
        first_of_row = (row & _WRAP) * _PERIOD
        for column in (column_here - 1, column_here, column_here + 1):
            place = first_of_row + (column & _WRAP)
            along = offset_x.take(place) + (column - x_in_row).astype(np.float32)
            across = (offset_y.take(place) + down) * _ROW_HEIGHT
            squared = along * along + across * across
            np.minimum(second, np.maximum(nearest, squared), out=second)
            np.copyto(cell, place, where=squared < nearest)
            np.minimum(nearest, squared, out=nearest)
    nearest, second = np.sqrt(nearest) * np.float32(spacing), np.sqrt(second) * np.float32(spacing)
    return CellPattern(to_centre=nearest, to_wall=(second - nearest) / 2, value=values.take(cell))


def network(
    points: np.ndarray, spacing: float, line_width: float, generator: np.random.Generator, disorder: float = 0.5
) -> np.ndarray:
    """A pigment network, 0 to 1: lines of about ``line_width`` mm around pale holes ``spacing`` mm apart.

    With more ``disorder`` (0 to 1) holes differ in size and lines in width and strength.
    """
    walls = cell_pattern(bend(points, 0.15 * spacing, 3 * spacing, generator), spacing, generator, disorder).to_wall
    uneven = skin_noise(points, 3 * spacing, generator, octaves=2)
    width = np.maximum(np.float32(line_width / 2) * (1 + np.float32(0.6 * disorder) * uneven), np.float32(0.03))
    strength = np.clip(np.float32(0.8) + np.float32(0.5 * disorder) * uneven, 0, 1)
    return strength * np.exp(-((walls / width) ** 2))


def globules(
    points: np.ndarray, spacing: float, radius: float, density: float, generator: np.random.Generator
) -> np.ndarray:
    """Roundish spots, 0 to 1, of about ``radius`` mm in a share ``density`` of cells that are ``spacing`` mm apart."""
    cells = cell_pattern(bend(points, 0.15 * radius, 3 * radius, generator), spacing, generator)
    # the number of a cell decides about presence; rescaled, about size
    size = np.float32(radius) * (np.float32(0.6) + np.float32(0.8 / density) * cells.value)
    soft = np.clip((size - cells.to_centre) / np.float32(0.7 * radius) + np.float32(0.5), 0, 1)
    return np.where(cells.value < density, soft, np.float32(0))


def patches(
    points: np.ndarray, wavelength: float, share: float, generator: np.random.Generator, softness: float = 0.5
) -> np.ndarray:
    """Blotches, 0 to 1, about ``wavelength`` mm apart that cover about ``share`` of the skin.

    Args:
        points: coordinates (3, H, W) in mm.
        wavelength: typical distance between two blotches in mm.
        share: covered share, between 0 and 1, both excluded.
        generator: source of the blotches.
        softness: width of their edges in standard deviations of the underlying field.
    """
    field = skin_noise(points, wavelength, generator)
    # about normally distributed; the logistic function comes close to the normal one at this scale
    threshold = np.float32(np.log(share / (1 - share)) / 1.702)
    return np.clip((field + threshold) / np.float32(softness) + np.float32(0.5), 0, 1)
