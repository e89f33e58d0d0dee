"""Keeps a checkpoint from which a run goes on exactly, and goes on from it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine, Events
from ignite.handlers import Checkpoint, DiskSaver

from monai_proto.handlers.named_checkpoint_loader import load_named_checkpoint

__all__ = ["ResumeHandler"]


class ResumeHandler:
    """
    Saves everything that has a state, the trainer included, at the start and at the end of every epoch, and restores
    it at the start with ``resume=True``.

    MONAI's ``CheckpointSaver`` takes the objects when it is built, and so cannot take the trainer that a bundle's JSON
    builds from its handlers; this one adds the engine that it is attached to, and its gradient scaler. A run that is
    stopped at any time leaves the state of the last whole epoch. Attach it before the handlers that change what it
    restores, and use :class:`EpochSeedHandler` for the random state.

    Args:
        save_dir: folder of the checkpoint, made when missing.
        state: name -> object with ``state_dict`` and ``load_state_dict``: networks, bank, losses, optimizer,
            scheduler, the saver of the best model.
        resume: whether to restore at the start.
        filename: name of the checkpoint.
        map_location: where to load tensors.
        save: false on the ranks of a distributed run that do not write.
    """

    def __init__(
        self,
        save_dir: str,
        state: Mapping[str, Any],
        resume: bool = False,
        filename: str = "last.pt",
        map_location: torch.device | str | None = None,
        save: bool = True,
    ) -> None:
        self.save_dir = save_dir
        self.state = dict(state)
        self.resume = resume
        self.filename = filename
        self.map_location = map_location
        self.save = save

    def attach(self, engine: Engine) -> None:
        """
        Args:
            engine: the trainer.
        """
        engine.add_event_handler(Events.STARTED, self.start)

    def start(self, engine: Engine) -> None:
        """
        Restore the state if asked to, and save from here on. ``max_epochs`` stays as the engine was built, so that a
        run can be prolonged.

        Raises:
            ValueError: naming the checkpoint, when it is missing or does not fit.
        """
        if self.resume:
            max_epochs = engine.state.max_epochs
            load_named_checkpoint(Path(self.save_dir) / self.filename, self._objects(engine), self.map_location)
            engine.state.max_epochs = max_epochs
            engine.logger.info(f"Goes on after epoch {engine.state.epoch} of {max_epochs}.")
        if self.save:
            self.save_state(engine)
            # added only now, to come after the handlers that change the state at the end of an epoch
            if not engine.has_event_handler(self.save_state, Events.EPOCH_COMPLETED):
                engine.add_event_handler(Events.EPOCH_COMPLETED, self.save_state)

    def save_state(self, engine: Engine) -> None:
        """Write the checkpoint; the file is replaced whole."""
        saver = DiskSaver(self.save_dir, atomic=True, create_dir=True, require_empty=False)
        Checkpoint(self._objects(engine), saver, filename_pattern=self.filename)(engine)

    def _objects(self, engine: Engine) -> dict[str, Any]:
        scaler = getattr(engine, "scaler", None)
        return {**self.state, "trainer": engine, **({} if scaler is None else {"scaler": scaler})}
