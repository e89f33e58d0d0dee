"""Phantom data sets by name: made once a machine, then found again."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from monai_proto import folders
from monai_proto.phantoms.dermoscopy.dataset import write_dermoscopy_phantom_dataset
from monai_proto.phantoms.phantom import PHANTOM_VERSION
from monai_proto.phantoms.volume_dataset import write_ct_phantom_dataset, write_mri_phantom_dataset

__all__ = ["phantom_dataset_dir"]

_WRITERS: dict[str, Callable[..., Path]] = {
    "mri": write_mri_phantom_dataset,
    "ct": write_ct_phantom_dataset,
    "dermoscopy": write_dermoscopy_phantom_dataset,
}
_DEFAULT_NUMBERS = {
    "mri": {"num_training": 24, "num_validation": 8},
    "ct": {"num_training": 24, "num_validation": 8},
    "dermoscopy": {"num_training": 280, "num_validation": 70, "num_test": 70},
}


def phantom_dataset_dir(
    kind: Literal["mri", "ct", "dermoscopy"],
    seed: int = 0,
    cache_dir: str | os.PathLike | None = None,
    num_training: int | None = None,
    num_validation: int | None = None,
    num_test: int | None = None,
) -> str:
    """Folder of a phantom data set, which is made when it is not there yet.

    The folder's name holds the generator's version and the arguments: a newer generator makes a new one. Processes that
    call at the same time may both make the data set; the first to finish wins and both use that one.

    In a bundle: ``"dataset_dir": "$monai_proto.data.phantom_dataset_dir('mri')"``.

    Args:
        kind: ``"mri"``, ``"ct"`` or ``"dermoscopy"``.
        seed: seed of the data set.
        cache_dir: folder of all cached data sets; None for the environment variable ``MONAI_PROTO_CACHE`` or, where
            that is not set, the platform's cache folder.
        num_training: number of training images; None for 24 volumes, or 280 dermoscopic images.
        num_validation: number of validation images; None for 8 volumes, or 70 dermoscopic images.
        num_test: number of test images, of which only ``"dermoscopy"`` has any; None for 70 there.

    Returns:
        absolute path of the folder with ``dataset.json``.

    Raises:
        ValueError: when ``kind`` is unknown or a number does not fit.
    """
    if kind not in _WRITERS:
        raise ValueError(f"kind must be one of {tuple(_WRITERS)}, got {kind!r}.")
    if num_test is not None and "num_test" not in _DEFAULT_NUMBERS[kind]:
        raise ValueError(f"num_test must be None for kind {kind!r}, which has no test part, got {num_test}.")
    asked = {"num_training": num_training, "num_validation": num_validation, "num_test": num_test}
    numbers = {
        name: default if asked[name] is None else asked[name] for name, default in _DEFAULT_NUMBERS[kind].items()
    }
    root = Path(cache_dir).expanduser() if cache_dir else folders.cache_dir()
    name = "-".join([f"{kind}_phantom", f"v{PHANTOM_VERSION}", f"seed{seed}", *map(str, numbers.values())])
    folder = root.absolute() / name
    if not _is_complete(folder):
        try:
            _WRITERS[kind](folder, **numbers, seed=seed)
        except FileExistsError:
            # another process was faster; anything else in that place is an error
            if not _is_complete(folder):
                raise
    return str(folder)


def _is_complete(folder: Path) -> bool:
    """Whether a data set is there: its folder gets its name only when all files are in it."""
    return (folder / "dataset.json").is_file()
