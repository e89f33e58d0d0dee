"""Says how many pseudo-labels of an epoch were trusted, and warns when they are too few to train on."""

from __future__ import annotations

from typing import Any

import ignite.distributed as idist
import torch
from ignite.engine import Engine, Events

__all__ = ["TrustedShareHandler"]


class TrustedShareHandler:
    """
    At the end of every epoch puts the mean ``trusted_share`` and the number of ``skipped_steps`` into
    ``engine.state.metrics``, where the ordinary handlers log them, and warns below a floor.

    Args:
        floor: share of trusted pseudo-labels below which it warns.

    Raises:
        ValueError: when ``floor`` is not in 0 .. 1.
    """

    def __init__(self, floor: float = 0.1) -> None:
        if not 0 <= floor <= 1:
            raise ValueError(f"floor must be in 0 .. 1, got {floor}.")
        self.floor = floor
        self._shares: list[torch.Tensor] = []
        self._skipped: list[torch.Tensor] = []

    def attach(self, engine: Engine) -> None:
        """
        Args:
            engine: a :class:`WeakSamTrainer`.
        """
        engine.add_event_handler(Events.EPOCH_STARTED, self.start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.note)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.report)

    def start(self, engine: Engine) -> None:
        """Forget the last epoch."""
        self._shares, self._skipped = [], []

    def note(self, engine: Engine) -> None:
        """Keep what one step says, without waiting for the device."""
        output: Any = engine.state.output  # ignite annotates it as a number
        self._shares.append(output["trusted_share"])
        self._skipped.append(output["skipped_step"])

    def report(self, engine: Engine) -> None:
        """Sum the epoch up."""
        share = float(idist.all_reduce(float(torch.stack(self._shares).mean()))) / idist.get_world_size()
        skipped = int(torch.stack(self._skipped).sum())
        engine.state.metrics["trusted_share"] = share
        engine.state.metrics["skipped_steps"] = skipped
        said = f"Epoch {engine.state.epoch}: {share:.0%} of the pseudo-labels were trusted"
        if share == 0:
            engine.logger.warning(
                f"{said}: nothing was trained. Check that boxes and images belong together, give another "
                "teacher_prompt, or raise max_entropy."
            )
        elif share < self.floor:
            engine.logger.warning(f"{said}, {skipped} of {len(self._skipped)} steps were skipped.")
