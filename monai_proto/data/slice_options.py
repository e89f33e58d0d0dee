"""Which slices of a volume become pictures, and what is an object in them."""

from __future__ import annotations

from dataclasses import dataclass

import nibabel as nib
import numpy as np

__all__ = ["SliceOptions"]

_ANATOMICAL_AXES = {"sagittal": 0, "coronal": 1, "axial": 2}


@dataclass(frozen=True)
class SliceOptions:
    """
    Which slices of a volume become pictures.

    Args:
        axis: ``"axial"``, ``"coronal"`` or ``"sagittal"``: the voxel axis that runs nearest to that direction by the
            volume's affine; or ``"0"``, ``"1"``, ``"2"``, a voxel axis as stored.
        slices: ``"largest"``, the slice with most of the object; ``"all"`` that show it; or a number of slices, spread
            evenly over those.
        label_groups: label values that are an object together; None makes every value that is found an object.
        min_pixels: least area of an object in a slice, in pixels; slices with less of it do not count as showing it.

    Raises:
        ValueError: when an option is out of range.
    """

    axis: str = "axial"
    slices: str = "largest"
    label_groups: tuple[tuple[int, ...], ...] | None = None
    min_pixels: int = 25

    def __post_init__(self) -> None:
        if self.axis not in (*_ANATOMICAL_AXES, "0", "1", "2"):
            raise ValueError(f"axis must be one of {(*_ANATOMICAL_AXES, '0', '1', '2')}, got {self.axis!r}.")
        if self.slices not in ("largest", "all") and not (self.slices.isdigit() and int(self.slices) > 0):
            raise ValueError(f"slices must be largest, all or a number above 0, got {self.slices!r}.")
        if self.min_pixels < 1:
            raise ValueError(f"min_pixels must be at least 1, got {self.min_pixels}.")

    def voxel_axis(self, affine: np.ndarray) -> int:
        """The axis (0, 1, 2) of the voxel array that slices are perpendicular to."""
        if self.axis not in _ANATOMICAL_AXES:
            return int(self.axis)
        directions = nib.orientations.io_orientation(affine)[:, 0]
        return int(np.flatnonzero(directions == _ANATOMICAL_AXES[self.axis])[0])

    def pick(self, areas: np.ndarray) -> list[int]:
        """
        Args:
            areas: pixels of the object in every slice.

        Returns:
            indices of the slices to take, in order; none when no slice shows ``min_pixels`` of it.
        """
        usable = np.flatnonzero(areas >= self.min_pixels)
        if self.slices == "all" or not usable.size:
            return usable.tolist()
        if self.slices == "largest":
            return [int(areas.argmax())]
        places = (np.arange(int(self.slices)) + 0.5) / int(self.slices) * len(usable)
        return np.unique(usable[places.astype(int)]).tolist()
