"""
Checks of NIfTI images and their label maps: can a training run use them?

Every check is a pure function that returns what is wrong as a list of :class:`VolumeProblem`; none raises for bad data.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np

from monai_proto.data.nifti import Volume, VolumeProblem, read_volume, shape_text, voxel_hash
from monai_proto.data.voxel_grid import grid_deviation

__all__ = ["PairCheck", "check_image", "check_label_values", "check_pair", "check_same_affine", "check_same_shape"]


def check_image(image: Volume, num_channels: int = 1) -> list[VolumeProblem]:
    """
    An image must be 3-D (4-D with ``num_channels`` channels last), finite, not constant, and placed in the world.

    Args:
        image: the image.
        num_channels: number of declared modalities.
    """
    shape, problems = image.data.shape, []
    # a fourth axis of length 1 is a single channel as well
    if shape[3:] != (num_channels,) and not (num_channels == 1 and len(shape) == 3):
        expected = "3-D (one modality)" if num_channels == 1 else f"4-D with {num_channels} modalities in the last axis"
        problems.append(VolumeProblem(image.file, f"image has shape {shape_text(shape)}, expected {expected}"))
    finite = np.isfinite(image.data)
    if not finite.all():
        count = int(finite.size - np.count_nonzero(finite))
        problems.append(VolumeProblem(image.file, f"image holds {count} voxels that are NaN or infinite"))
    elif image.data.min() == image.data.max():
        problems.append(VolumeProblem(image.file, f"image is constant: every voxel is {image.data.flat[0]}"))
    if not np.isfinite(image.affine).all() or abs(np.linalg.det(image.affine[:3, :3])) < 1e-12:
        problems.append(VolumeProblem(image.file, "affine of the image is not invertible"))
    return problems


def check_same_shape(image: Volume, label: Volume) -> list[VolumeProblem]:
    """The label map must have the image's spatial shape, and no channels (a fourth axis of length 1 is allowed)."""
    if label.data.shape[:3] == image.data.shape[:3] and label.data.shape[3:] in ((), (1,)):
        return []
    message = f"shape mismatch: label {shape_text(label.data.shape)}, image {shape_text(image.data.shape)}"
    return [VolumeProblem(label.file, message)]


def check_same_affine(image: Volume, label: Volume, tolerance: float = 1e-3) -> list[VolumeProblem]:
    """
    Both affines must put the corner voxels of the image's grid at the same place.

    Args:
        image: the image; its first three axes are the grid.
        label: its label map.
        tolerance: distance in mm up to which two places are the same.
    """
    deviation = grid_deviation(image.data.shape, image.affine, label.affine)
    if deviation <= tolerance:  # written so that a NaN is a mismatch
        return []
    message = f"affine mismatch: corner voxels of label and image lie up to {deviation:.4g} mm apart"
    return [VolumeProblem(label.file, message)]


def check_label_values(label: Volume, declared_values: Collection[int] | None = None) -> list[VolumeProblem]:
    """
    A label map must hold integers, no others than the declared ones, and more than background (0).

    A single class where several are declared is a warning: small structures are absent from many good cases.

    Args:
        label: the label map, of an integer or a floating type.
        declared_values: values of the declared classes, background included; None to take any that is not negative.
    """
    present = np.unique(label.data)
    not_integer = present[~np.isfinite(present) | (present != np.rint(present))]
    if not_integer.size:
        return [VolumeProblem(label.file, f"label values are not integers, for instance {not_integer[0]:g}")]
    values = {int(value) for value in present}
    undeclared = sorted(v for v in values if (v < 0 if declared_values is None else v not in declared_values))
    if undeclared:
        allowed = "not negative" if declared_values is None else f"one of {_some(sorted(declared_values))}"
        return [VolumeProblem(label.file, f"label values out of range: {_some(undeclared)}, expected {allowed}")]
    if values <= {0}:
        return [VolumeProblem(label.file, "label is empty: background only")]
    classes = sorted(set(declared_values or ()) - {0})
    if len(classes) > 1 and len(values - {0}) == 1:
        message = f"label holds one class only: {max(values)} of {_some(classes)}"
        return [VolumeProblem(label.file, message, is_warning=True)]
    return []


@dataclass(frozen=True)
class PairCheck:
    """
    Everything that :func:`check_pair` found.

    Args:
        problems: what is wrong, warnings included; the case is usable when all of them are warnings.
        image_hash: :func:`voxel_hash` of the image; None when it could not be read.
        label_values: integer values in the label map of a usable case, where no values were declared; else empty.
    """

    problems: tuple[VolumeProblem, ...]
    image_hash: str | None = None
    label_values: tuple[int, ...] = ()

    @property
    def usable(self) -> bool:
        """Whether a training run can use the case."""
        return all(problem.is_warning for problem in self.problems)


def check_pair(
    image_file: str | os.PathLike,
    label_file: str | os.PathLike | None = None,
    num_channels: int = 1,
    declared_values: Collection[int] | None = None,
) -> PairCheck:
    """
    All checks of an image and, where there is one, its label map; holds one case in memory.

    Args:
        image_file: NIfTI image.
        label_file: its label map; None for an unlabelled image.
        num_channels: number of declared modalities.
        declared_values: values of the declared classes; None when nothing is declared.
    """
    image, problems = read_volume(image_file)
    image_hash = None
    if image is not None:
        image_hash = voxel_hash(image)
        problems += check_image(image, num_channels)
    if label_file is None:
        return PairCheck(tuple(problems), image_hash)
    label, label_problems = read_volume(label_file)
    problems += label_problems
    if label is None:
        return PairCheck(tuple(problems), image_hash)
    if image is not None:
        problems += check_same_shape(image, label) + check_same_affine(image, label)
    problems += check_label_values(label, declared_values)
    check = PairCheck(tuple(problems), image_hash)
    if declared_values is None and check.usable:
        check = replace(check, label_values=tuple(int(value) for value in np.unique(label.data)))
    return check


def _some(values: list[int], limit: int = 10) -> str:
    shown = ", ".join(map(str, values[:limit]))
    return shown if len(values) <= limit else f"{shown} and {len(values) - limit} more"
