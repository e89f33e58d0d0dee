"""Phantom data sets by name: made once a machine, then found again."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import pooch

from monai_proto.data.phantoms.phantom import PHANTOM_VERSION
from monai_proto.data.phantoms.phantom_dataset import write_ct_phantom_dataset, write_mri_phantom_dataset

__all__ = ["phantom_dataset_dir"]

_WRITERS = {"mri": write_mri_phantom_dataset, "ct": write_ct_phantom_dataset}


def phantom_dataset_dir(
    kind: Literal["mri", "ct"],
    seed: int = 0,
    cache_dir: str | os.PathLike | None = None,
    num_training: int = 24,
    num_validation: int = 8,
) -> str:
    """Folder of a phantom data set, which is made when it is not there yet.

    The folder's name holds the generator's version and the arguments: a newer generator makes a new one. Processes that
    call at the same time may both make the data set; the first to finish wins and both use that one.

    In a bundle: ``"dataset_dir": "$monai_proto.data.phantom_dataset_dir('mri')"``.

    Args:
        kind: ``"mri"`` or ``"ct"``.
        seed: seed of the data set.
        cache_dir: folder of all cached data sets; None for the environment variable ``MONAI_PROTO_CACHE`` or, where
            that is not set, the platform's cache folder.
        num_training: number of training volumes.
        num_validation: number of validation volumes.

    Returns:
        absolute path of the folder with ``dataset.json``.

    Raises:
        ValueError: when ``kind`` is unknown or a number does not fit.
    """
    if kind not in _WRITERS:
        raise ValueError(f"kind must be one of {tuple(_WRITERS)}, got {kind!r}.")
    root = Path(cache_dir or os.environ.get("MONAI_PROTO_CACHE") or pooch.os_cache("monai_proto")).expanduser()
    name = f"{kind}_phantom-v{PHANTOM_VERSION}-seed{seed}-{num_training}-{num_validation}"
    folder = root.absolute() / name
    if not _is_complete(folder):
        try:
            _WRITERS[kind](folder, num_training=num_training, num_validation=num_validation, seed=seed)
        except FileExistsError:
            # another process was faster; anything else in that place is an error
            if not _is_complete(folder):
                raise
    return str(folder)


def _is_complete(folder: Path) -> bool:
    """Whether a data set is there: its folder gets its name only when all files are in it."""
    return (folder / "dataset.json").is_file()
