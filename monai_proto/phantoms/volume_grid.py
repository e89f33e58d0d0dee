"""The voxel grid of a phantom: size, spacing, axis order and obliquity in RAS world space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["VolumeGrid", "make_grid", "rotation_matrix"]

_AXIS_DIRECTIONS = {
    "R": (1, 0, 0),
    "L": (-1, 0, 0),
    "A": (0, 1, 0),
    "P": (0, -1, 0),
    "S": (0, 0, 1),
    "I": (0, 0, -1),
}


@dataclass(frozen=True)
class VolumeGrid:
    """A voxel grid in the world.

    Attributes:
        shape: number of voxels along each voxel axis.
        affine: (4, 4), from voxel indices to RAS world coordinates in mm.
    """

    shape: tuple[int, int, int]
    affine: np.ndarray

    @property
    def spacing(self) -> np.ndarray:
        """Voxel size (3,) along each voxel axis, in mm."""
        return np.linalg.norm(self.affine[:3, :3], axis=0)

    def world_coordinates(self) -> np.ndarray:
        """RAS coordinates of all voxel centres in mm, (3, D, H, W), float32."""
        matrix = self.affine.astype(np.float32)
        i, j, k = np.ogrid[tuple(slice(size) for size in self.shape)]
        rows = [matrix[r, 0] * i + matrix[r, 1] * j + matrix[r, 2] * k + matrix[r, 3] for r in range(3)]
        return np.stack(rows).astype(np.float32)


def make_grid(
    extent: Sequence[float] | np.ndarray,
    spacing: Sequence[float],
    axis_codes: str,
    centre: Sequence[float] | np.ndarray = (0.0, 0.0, 0.0),
    rotation: np.ndarray | None = None,
) -> VolumeGrid:
    """A grid that covers a box of the world.

    Args:
        extent: size of the box along the world's x, y and z axes, in mm.
        spacing: voxel size along each *voxel* axis, in mm.
        axis_codes: world direction in which each voxel axis grows, such as ``"LPS"``.
        centre: centre of the box in RAS world coordinates, in mm.
        rotation: (3, 3) rotation of the box about its centre, for oblique acquisitions; None for none.

    Raises:
        ValueError: when ``axis_codes`` does not name three different world axes.
    """
    if any(code not in _AXIS_DIRECTIONS for code in axis_codes):
        raise ValueError(f"axis_codes must consist of letters of RLAPSI, got {axis_codes!r}.")
    directions = np.array([_AXIS_DIRECTIONS[code] for code in axis_codes], dtype=np.float64).T
    if directions.shape != (3, 3) or np.linalg.matrix_rank(directions) < 3:
        raise ValueError(f"axis_codes must name three different world axes, got {axis_codes!r}.")
    sizes = np.rint((np.abs(directions).T @ np.asarray(extent)) / np.asarray(spacing)).astype(int)

    affine = np.eye(4)
    oriented = directions if rotation is None else rotation @ directions
    affine[:3, :3] = oriented * np.asarray(spacing)
    affine[:3, 3] = np.asarray(centre) - affine[:3, :3] @ ((sizes - 1) / 2)
    return VolumeGrid(shape=(int(sizes[0]), int(sizes[1]), int(sizes[2])), affine=affine)


def rotation_matrix(degrees: Sequence[float] | np.ndarray) -> np.ndarray:
    """Rotation (3, 3) about the x, then the y, then the z axis, by angles in degrees."""
    (cx, cy, cz), (sx, sy, sz) = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x
