"""All checks of an image and its label map at once."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np

from monai_proto.data.nifti_volume import VolumeProblem, read_volume, voxel_hash
from monai_proto.data.volume_checks import check_image, check_label_values, check_same_affine, check_same_shape

__all__ = ["PairCheck", "check_pair"]


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
