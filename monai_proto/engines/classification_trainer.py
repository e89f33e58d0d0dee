"""Trains a classifier, with a prototype head or without."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from ignite.engine import Engine
from monai.engines import Trainer
from monai.engines.utils import IterationEvents
from monai.utils.enums import CommonKeys as Keys
from torch import nn

from monai_proto.engines.training_step import autocast_of, optimizer_step, plain_tensors
from monai_proto.losses.prototype_loss import PrototypeLoss
from monai_proto.networks.bare_network import bare_network
from monai_proto.networks.nets.prototype_classifier import PrototypeClassifier

__all__ = ["ClassificationTrainer"]


class ClassificationTrainer(Trainer):
    """
    Supervised training of a classifier. A network with a prototype head gets the prototype loss, any other the
    ordinary loss, so that both train by the same engine and configuration.

    ``engine.state.output`` has ``image``, ``label`` (B,), ``pred`` (logits) and ``loss`` as MONAI's
    ``SupervisedTrainer``, and every component of the prototype loss under its name (``ce_loss``,
    ``cluster_loss``, ...), detached.

    Args:
        device: where to run.
        max_epochs: number of epochs.
        train_data_loader: yields dictionaries with ``image`` and ``label``, (B,) or (B, 1).
        network: a :class:`PrototypeClassifier` or any network that gives logits; may be wrapped in
            DistributedDataParallel.
        optimizer: of the network, and of the prototype loss where that has parameters.
        loss_function: called ``loss(logits, labels)`` for networks without a prototype head; cross-entropy by default.
        prototype_loss: called ``loss(output, labels)`` for those with one; :class:`PrototypeLoss` by default, whose
            learned scale then is left at its start, as no optimizer knows it.
        train_handlers: handlers.
        kwargs: further arguments of MONAI's ``Trainer``: ``epoch_length``, ``prepare_batch``, ``key_metric``,
            ``amp``, ...
    """

    def __init__(
        self,
        device: torch.device | str,
        max_epochs: int,
        train_data_loader: Iterable,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        loss_function: Callable | None = None,
        prototype_loss: PrototypeLoss | None = None,
        train_handlers: Sequence | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(device=device, max_epochs=max_epochs, data_loader=train_data_loader, handlers=None, **kwargs)
        self.network = network
        self.optimizer = optimizer
        self.loss_function = loss_function or nn.CrossEntropyLoss()
        self.prototype_loss = prototype_loss or PrototypeLoss(learn_sigma=False)
        if train_handlers is not None:
            self._register_handlers(train_handlers)

    @property
    def has_prototype_head(self) -> bool:
        """Whether the network answers by prototypes."""
        return isinstance(bare_network(self.network), PrototypeClassifier)

    def _iteration(self, engine: Engine, batchdata: dict[str, Any]) -> dict[str, Any]:
        """One step; see the class for what it returns."""
        images, labels = plain_tensors(self.prepare_batch(batchdata, self.state.device, self.non_blocking))
        labels = labels.reshape(len(images)).long()
        self.network.train()
        self.optimizer.zero_grad()
        with autocast_of(self):
            loss, logits, components = self._loss(images, labels)
        engine.fire_event(IterationEvents.LOSS_COMPLETED)
        optimizer_step(self, loss)
        state: Any = engine.state  # ignite takes a step's output for a number
        state.output = {
            Keys.IMAGE: images,
            Keys.LABEL: labels,
            Keys.PRED: logits.detach(),
            Keys.LOSS: loss.detach(),
            **components,
        }
        engine.fire_event(IterationEvents.MODEL_COMPLETED)
        return state.output

    def _loss(
        self, images: torch.Tensor, labels: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]:
        if self.has_prototype_head:
            output = self.network(images, full_output=True)
            loss = self.prototype_loss(output, labels)
            return loss, output.logits, self.prototype_loss.components
        logits = self.network(images)
        return self.loss_function(logits, labels), logits, {}
