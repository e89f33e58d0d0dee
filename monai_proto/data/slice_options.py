"""Which slices of a volume become pictures, and what is an object in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import nibabel as nib
import numpy as np

__all__ = ["SliceOptions", "label_groups"]

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


def label_groups(labels: str | int | Sequence[int | str] | None) -> tuple[tuple[int, ...], ...] | None:
    """
    Label values that are objects, as a person writes them.

    Args:
        labels: ``"1,2"`` for two objects, ``"1+2"`` for both values as one; a single value; a list of either.

    Returns:
        the values of each object; None for None or an empty text.

    Raises:
        ValueError: when they are no integers above 0.

    Example::

        >>> label_groups("1+2,5")
        ((1, 2), (5,))
    """
    if labels is None or labels == "":
        return None
    text = ",".join(map(str, labels)) if isinstance(labels, list | tuple) else str(labels)
    try:
        groups = tuple(tuple(int(value) for value in group.split("+")) for group in text.split(","))
    except ValueError:
        groups = ((0,),)
    if any(value < 1 for group in groups for value in group):
        raise ValueError(f"labels must be integers above 0 with commas, or plus signs, between, got {text!r}.")
    return groups
