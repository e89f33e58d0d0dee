"""Takes a prototype classifier through its stages of training."""

from __future__ import annotations

import torch
from ignite.engine import Engine, Events
from torch import nn

from monai_proto.networks.bare_network import bare_network
from monai_proto.networks.nets.prototype_classifier import PrototypeClassifier

__all__ = ["PrototypeStageHandler"]


class PrototypeStageHandler:
    """
    Sets the classifier's stage at the start of every epoch: first ``"warm_up"``, then ``"joint"``, and ``"last_layer"``
    for the last epochs. A run that is too short for the joint stage is refused at its start. The stage follows from the
    epoch alone, so that a resumed run is in the right one.

    Under DistributedDataParallel the parameters that take part change from stage to stage: wrap the network with
    ``find_unused_parameters=True``.

    Args:
        network: the classifier; may be wrapped in DistributedDataParallel.
        warm_up_epochs: epochs with a frozen backbone.
        last_layer_epochs: epochs at the end that train the last layer only.
        optimizer: whose learning rate and weight decay the last stage sets; a schedule has come to its end by then,
            and the weights have to answer for prototypes that the projection has moved.
        last_layer_learning_rate: at the start of the last stage, from where it falls epoch by epoch; None to leave it.
        last_layer_weight_decay: in the last stage; None to leave it.

    Raises:
        ValueError: when a number of epochs is negative, or a setting of the last stage comes without an optimizer.
    """

    def __init__(
        self,
        network: nn.Module,
        warm_up_epochs: int = 5,
        last_layer_epochs: int = 0,
        optimizer: torch.optim.Optimizer | None = None,
        last_layer_learning_rate: float | None = None,
        last_layer_weight_decay: float | None = None,
    ) -> None:
        if warm_up_epochs < 0 or last_layer_epochs < 0:
            raise ValueError(
                f"warm_up_epochs and last_layer_epochs must not be negative, got {warm_up_epochs}, {last_layer_epochs}."
            )
        settings = (last_layer_learning_rate, last_layer_weight_decay)
        if optimizer is None and any(setting is not None for setting in settings):
            raise ValueError("last_layer_learning_rate and last_layer_weight_decay need the optimizer.")
        self.network: PrototypeClassifier = bare_network(network)
        self.warm_up_epochs = warm_up_epochs
        self.last_layer_epochs = last_layer_epochs
        self.optimizer = optimizer
        self.last_layer_learning_rate = last_layer_learning_rate
        self.last_layer_weight_decay = last_layer_weight_decay

    def attach(self, engine: Engine) -> None:
        """
        Args:
            engine: the trainer.
        """
        engine.add_event_handler(Events.STARTED, self.require_joint_stage)
        engine.add_event_handler(Events.EPOCH_STARTED, self)

    def require_joint_stage(self, engine: Engine) -> None:
        """
        Raises:
            ValueError: when the run has no epoch in which backbone and prototypes are trained together.
        """
        epochs, others = _max_epochs(engine), self.warm_up_epochs + self.last_layer_epochs
        if self.last_layer_epochs and others >= epochs:
            fitting = f" With max_epochs {epochs}: warm_up_epochs 1 and last_layer_epochs 1 fit." if epochs > 2 else ""
            raise ValueError(
                f"max_epochs {epochs} leaves no epoch to train backbone and prototypes together: warm_up_epochs "
                f"{self.warm_up_epochs} and last_layer_epochs {self.last_layer_epochs} need max_epochs of {others + 1} "
                f"or more.{fitting}"
            )

    def __call__(self, engine: Engine) -> None:
        max_epochs = _max_epochs(engine)
        stage = "joint"
        if engine.state.epoch > max_epochs - self.last_layer_epochs:
            stage = "last_layer"
        elif engine.state.epoch <= self.warm_up_epochs:
            stage = "warm_up"
        if stage != self.network.stage:
            engine.logger.info(f"Epoch {engine.state.epoch}: stage {stage}.")
            self.network.set_stage(stage)
        if stage == "last_layer" and self.optimizer is not None:
            self._set_rates(self.optimizer, (max_epochs - engine.state.epoch + 1) / self.last_layer_epochs)

    def _set_rates(self, optimizer: torch.optim.Optimizer, share_left: float) -> None:
        for group in optimizer.param_groups:
            if self.last_layer_learning_rate is not None:
                group["lr"] = self.last_layer_learning_rate * share_left
            if self.last_layer_weight_decay is not None:
                group["weight_decay"] = self.last_layer_weight_decay


def _max_epochs(engine: Engine) -> int:
    if engine.state.max_epochs is None:
        raise ValueError("the trainer must have max_epochs: the last stage is counted from the end.")
    return engine.state.max_epochs
