"""Saves the best model, and remembers across a restart how good it was."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ignite.engine import Engine
from ignite.handlers import Checkpoint
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
        from_epoch: first epoch of the trainer that counts, for models that are finished only then.
    """

    def __init__(
        self, save_dir: str, save_dict: dict[str, Any], key_metric_filename: str = "model.pt", from_epoch: int = 1
    ) -> None:
        super().__init__(save_dir, save_dict, save_key_metric=True, key_metric_filename=key_metric_filename)
        self.from_epoch = from_epoch

    @staticmethod
    def among(handlers: Iterable[Any]) -> BestCheckpointSaver:
        """
        The one in a list of handlers, by which a bundle's JSON names it: the list has to hold it itself, as MONAI Label
        looks for it there.

        Raises:
            ValueError: when there is none, or more than one.
        """
        found = [handler for handler in handlers if isinstance(handler, BestCheckpointSaver)]
        if len(found) != 1:
            raise ValueError(f"handlers must hold one BestCheckpointSaver, got {len(found)}.")
        return found[0]

    def metrics_completed(self, engine: Engine) -> None:
        """Save if this is the best model so far; the evaluator's epoch is the trainer's."""
        if engine.state.epoch >= self.from_epoch:
            super().metrics_completed(engine)

    def state_dict(self) -> dict[str, Any]:
        """The best metric so far and its file."""
        return self._best().state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from there."""
        self._best().load_state_dict(state_dict)

    def _best(self) -> Checkpoint:
        assert self._key_metric_checkpoint is not None  # save_key_metric=True makes it
        return self._key_metric_checkpoint
