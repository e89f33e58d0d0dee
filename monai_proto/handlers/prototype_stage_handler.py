"""Takes a prototype classifier through its stages of training."""

from __future__ import annotations

from ignite.engine import Engine, Events
from torch import nn

from monai_proto.networks.nets.prototype_classifier import PrototypeClassifier

__all__ = ["PrototypeStageHandler"]


class PrototypeStageHandler:
    """
    Sets the classifier's stage at the start of every epoch: first ``"warm_up"``, then ``"joint"``, and ``"last_layer"``
    for the last epochs. The stage follows from the epoch alone, so that a resumed run is in the right one.

    Under DistributedDataParallel the parameters that take part change from stage to stage: wrap the network with
    ``find_unused_parameters=True``.

    Args:
        network: the classifier; may be wrapped in DistributedDataParallel.
        warm_up_epochs: epochs with a frozen backbone.
        last_layer_epochs: epochs at the end that train the last layer only.
    """

    def __init__(self, network: nn.Module, warm_up_epochs: int = 5, last_layer_epochs: int = 0) -> None:
        if warm_up_epochs < 0 or last_layer_epochs < 0:
            raise ValueError(
                f"warm_up_epochs and last_layer_epochs must not be negative, got {warm_up_epochs}, {last_layer_epochs}."
            )
        self.network: PrototypeClassifier = getattr(network, "module", network)
        self.warm_up_epochs = warm_up_epochs
        self.last_layer_epochs = last_layer_epochs

    def attach(self, engine: Engine) -> None:
        """
        Args:
            engine: the trainer.
        """
        engine.add_event_handler(Events.EPOCH_STARTED, self)

    def __call__(self, engine: Engine) -> None:
        stage = "joint"
        if engine.state.epoch > engine.state.max_epochs - self.last_layer_epochs:
            stage = "last_layer"
        elif engine.state.epoch <= self.warm_up_epochs:
            stage = "warm_up"
        if stage != self.network.stage:
            engine.logger.info(f"Epoch {engine.state.epoch}: stage {stage}.")
            self.network.set_stage(stage)
