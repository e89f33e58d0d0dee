"""What every phantom generator hands back, the random streams it may draw from, and a folder written whole."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from monai_proto.data.atomic_write import new_folder_atomically

__all__ = ["PHANTOM_VERSION", "Phantom", "phantom_generator", "whole_folder"]

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


@contextmanager
def whole_folder(output_dir: str | os.PathLike) -> Iterator[Path]:
    """A folder to fill beside ``output_dir``, which takes that name when the ``with`` block ends without an exception.

    It is `new_folder_atomically` with the errors that a cache shared by several processes needs.

    Args:
        output_dir: name of the finished folder; missing parents are made.

    Raises:
        FileExistsError: when ``output_dir`` has content, or another process gave it content in the meantime.
    """
    output = Path(output_dir).absolute()
    if _has_content(output):
        raise FileExistsError(f"output_dir must not exist or be empty, got {output}.")
    in_block = False
    try:
        with new_folder_atomically(output) as partial:
            in_block = True
            yield partial
            in_block = False
    except (OSError, ValueError) as error:
        if not in_block and _has_content(output):
            raise FileExistsError(f"output_dir {output} was made by another process in the meantime.") from error
        raise


def _has_content(path: Path) -> bool:
    """Whether something other than an empty folder is there."""
    return path.exists() and (not path.is_dir() or any(path.iterdir()))
