"""What every phantom generator hands back, and the random streams it may draw from."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

__all__ = ["PHANTOM_VERSION", "Phantom", "phantom_generator"]

# goes up by one whenever any voxel of any phantom changes, so that cached data sets are made anew
PHANTOM_VERSION = 1


class Phantom(NamedTuple):
    """One synthetic volume.

    Attributes:
        image: intensities (D, H, W), float32 in arbitrary units for MRI, int16 in HU for CT.
        label: class of every voxel (D, H, W), uint8.
        affine: (4, 4) float64, from voxel indices to RAS world coordinates in mm.
    """

    image: np.ndarray
    label: np.ndarray
    affine: np.ndarray


def phantom_generator(seed: int, *key: int) -> np.random.Generator:
    """A random stream of its own for each ``(seed, key)``, untouched by NumPy's and PyTorch's global generators.

    Args:
        seed: seed of the whole data set, 0 or more.
        key: numbers that say what the stream is for, such as modality and index of the patient, each 0 or more.

    Raises:
        ValueError: when ``seed`` or a number of the key is negative.
    """
    if seed < 0:
        raise ValueError(f"seed must be 0 or more, got {seed}.")
    if any(part < 0 for part in key):
        raise ValueError(f"index must be 0 or more, got {key}.")
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)))
