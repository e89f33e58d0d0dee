"""Loads checkpoints, with errors that name the file."""

from __future__ import annotations

import os
import pickle
from collections.abc import Mapping
from typing import Any

import torch
from ignite.engine import Engine
from ignite.handlers import Checkpoint
from monai.handlers import CheckpointLoader

__all__ = ["NamedCheckpointLoader", "load_named_checkpoint"]

_MISFITS = (RuntimeError, LookupError, ValueError, TypeError, EOFError, AttributeError, pickle.UnpicklingError)


def load_named_checkpoint(
    path: str | os.PathLike, objects: Mapping[str, Any], map_location: torch.device | str | None = None
) -> None:
    """
    Restore ``objects`` from a checkpoint of theirs, weights only.

    Args:
        path: file with a dictionary name -> state.
        objects: name -> object with ``load_state_dict``.
        map_location: where to load tensors.

    Raises:
        ValueError: naming the file: missing, no checkpoint, without one of the objects, or of another architecture.
    """
    _require_file(path)
    try:
        checkpoint = torch.load(path, map_location=map_location, weights_only=True)
        Checkpoint.load_objects(to_load=dict(objects), checkpoint=checkpoint)
    except _MISFITS as error:
        raise ValueError(f"checkpoint {path} does not fit: {error}") from error


class NamedCheckpointLoader(CheckpointLoader):
    """
    ``monai.handlers.CheckpointLoader`` (weights only, strict) that says which file does not fit and why: missing, no
    checkpoint, or of another architecture, such as another number of classes.
    """

    def __call__(self, engine: Engine) -> None:
        """
        Raises:
            ValueError: naming the file.
        """
        _require_file(self.load_path)
        try:
            super().__call__(engine)
        except _MISFITS as error:
            raise ValueError(f"checkpoint {self.load_path} does not fit: {error}") from error


def _require_file(path: str | os.PathLike) -> None:
    if not os.path.isfile(path):
        raise ValueError(f"checkpoint {path} does not exist.")
