"""Saves the best model, and remembers across a restart how good it was."""

from __future__ import annotations

from typing import Any

from monai.handlers import CheckpointSaver

__all__ = ["BestCheckpointSaver"]


class BestCheckpointSaver(CheckpointSaver):
    """
    ``monai.handlers.CheckpointSaver`` for the best key metric under one file name, with a ``state_dict``: a resumed
    run does not replace the best model by the first one that it validates.

    Args:
        save_dir: folder of the checkpoint.
        save_dict: name -> object to save, such as ``{"model": network}``.
        key_metric_filename: name of the checkpoint.
    """

    def __init__(self, save_dir: str, save_dict: dict[str, Any], key_metric_filename: str = "model.pt") -> None:
        super().__init__(save_dir, save_dict, save_key_metric=True, key_metric_filename=key_metric_filename)

    def state_dict(self) -> dict[str, Any]:
        """The best metric so far and its file."""
        return self._key_metric_checkpoint.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._key_metric_checkpoint.load_state_dict(state_dict)
