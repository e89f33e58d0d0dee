"""Which class each lesion of a data set has, how many photographs, in which part, and what its patient is like."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from monai_proto.phantoms.dermoscopy.phantom import DERMOSCOPY_CLASSES
from monai_proto.phantoms.phantom import phantom_generator

__all__ = [
    "DERMOSCOPY_CLASS_WEIGHTS",
    "METADATA_COLUMNS",
    "PlannedLesion",
    "count_classes",
    "make_metadata",
    "plan_lesions",
]

_STREAM = 4
_IMAGES_PER_PAIR = 5
# images in HAM10000 (Tschandl et al. 2018), in the order of DERMOSCOPY_CLASSES; the square root keeps their order and
# a long tail, and leaves more than one image of the rarest class in a data set of a few hundred
_HAM10000_IMAGES = {"akiec": 327, "bcc": 514, "bkl": 1099, "df": 115, "mel": 1113, "nv": 6705, "vasc": 142}
DERMOSCOPY_CLASS_WEIGHTS = tuple(math.sqrt(_HAM10000_IMAGES[name]) for name in DERMOSCOPY_CLASSES)
METADATA_COLUMNS = ("lesion_id", "image_id", "dx", "dx_type", "age", "sex", "localization", "split")
_PATIENT_STREAM = 5
# mean age in HAM10000, in years
_MEAN_AGE = {"akiec": 67, "bcc": 67, "bkl": 64, "df": 53, "mel": 61, "nv": 47, "vasc": 51}
_AGE_DEVIATION = 15.0
_ALWAYS_HISTOLOGY = ("akiec", "bcc", "mel")
_LOCALIZATIONS = ("abdomen", "back", "chest", "face", "lower extremity", "neck", "trunk", "upper extremity")


class PlannedLesion(NamedTuple):
    """One lesion to make.

    Attributes:
        number: of the lesion in the data set.
        label: its class, an index into ``DERMOSCOPY_CLASSES``.
        num_views: number of its photographs, 1 or 2.
    """

    number: int
    label: int
    num_views: int


def plan_lesions(
    num_images: Mapping[str, int], seed: int, class_weights: Sequence[float] = DERMOSCOPY_CLASS_WEIGHTS
) -> dict[str, list[PlannedLesion]]:
    """Share the images of each part out among classes, and those of a class among lesions, in random order.

    About every third image shows a lesion that another image of the same part shows as well, as in HAM10000.

    Args:
        num_images: number of images of each part, such as ``{"training": 280}``.
        seed: seed of the order, 0 or more.
        class_weights: how frequent each class is, in any unit.

    Returns:
        the lesions of each part; indices run through all parts.

    Raises:
        ValueError: when a part has fewer images than there are classes, named ``num_`` and the part, a class weight is
            not positive, or ``seed`` is negative.
    """
    generator = phantom_generator(seed, _STREAM)
    plan: dict[str, list[PlannedLesion]] = {}
    first = 0
    for part, number in num_images.items():
        lesions = []
        for label, count in enumerate(count_classes(number, class_weights, f"num_{part}")):
            num_pairs = count // _IMAGES_PER_PAIR
            lesions += [(label, 2)] * num_pairs + [(label, 1)] * (count - 2 * num_pairs)
        order = generator.permutation(len(lesions))
        plan[part] = [PlannedLesion(first + position, *lesions[which]) for position, which in enumerate(order)]
        first += len(lesions)
    return plan


def count_classes(num_images: int, class_weights: Sequence[float], argument: str = "num_images") -> list[int]:
    """Number of images of each class: in proportion to the weights, at least 1, ``num_images`` in all.

    Args:
        num_images: number of images to share out.
        class_weights: how frequent each class is, in any unit.
        argument: what ``num_images`` is called in the error.

    Raises:
        ValueError: when there are fewer images than classes, or weights that are not positive or not one a class.
    """
    weights = np.asarray(class_weights, dtype=float)
    num_classes = len(DERMOSCOPY_CLASSES)
    if weights.shape != (num_classes,) or not np.all(np.isfinite(weights)) or np.any(weights <= 0):
        raise ValueError(f"class_weights must be {num_classes} positive numbers, got {class_weights}.")
    if num_images < num_classes:
        raise ValueError(f"{argument} must be {num_classes} or more, an image of every class, got {num_images}.")
    counts = np.ones(num_classes, dtype=int)
    for _ in range(num_images - num_classes):
        # the class that is furthest below its share
        counts[np.argmax(weights / weights.sum() * num_images - counts)] += 1
    return counts.tolist()


def make_metadata(seed: int, index: int, label: int) -> dict[str, str]:
    """What HAM10000's table says of a lesion.

    As there, malignant lesions have histology and age goes with the class; sex and place are independent of it.

    Args:
        seed: seed of the data set, 0 or more.
        index: number of the lesion, 0 or more.
        label: its class, an index into ``DERMOSCOPY_CLASSES``.

    Returns:
        the columns ``dx``, ``dx_type``, ``age`` (years, a multiple of 5), ``sex`` and ``localization``.
    """
    generator = phantom_generator(seed, _PATIENT_STREAM, index)
    name = DERMOSCOPY_CLASSES[label]
    age = generator.normal(_MEAN_AGE[name], _AGE_DEVIATION)
    sex, place = generator.choice(["female", "male"]), generator.choice(_LOCALIZATIONS)
    verified_by = generator.choice(["histo", "follow_up", "consensus"])
    return {
        "dx": name,
        "dx_type": "histo" if name in _ALWAYS_HISTOLOGY else str(verified_by),
        "age": f"{5 * round(float(np.clip(age, 5, 85)) / 5):.1f}",
        "sex": str(sex),
        "localization": str(place),
    }
