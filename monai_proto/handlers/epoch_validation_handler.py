"""Validates every few epochs, and always after the last one."""

from __future__ import annotations

from ignite.engine import Engine, Events
from monai.handlers import ValidationHandler

__all__ = ["EpochValidationHandler"]


class EpochValidationHandler(ValidationHandler):
    """
    ``monai.handlers.ValidationHandler`` that validates after the last epoch too, where the interval does not meet it: a
    run that is shorter than the interval would otherwise end without a model.

    Arguments are those of ``ValidationHandler``.
    """

    def attach(self, engine: Engine) -> None:
        """
        Args:
            engine: the trainer.
        """
        super().attach(engine)
        engine.add_event_handler(Events.EPOCH_COMPLETED(event_filter=self._is_left_out), self)

    def _is_left_out(self, engine: Engine, epoch: int) -> bool:
        """Whether this is the last epoch, and the interval does not meet its end."""
        done = epoch if self.epoch_level else engine.state.iteration
        return epoch == engine.state.max_epochs and done % self.interval != 0
