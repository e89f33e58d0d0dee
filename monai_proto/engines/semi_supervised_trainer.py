"""Trains a segmentation network on labelled and unlabelled images together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from ignite.engine import Engine
from monai.engines import Trainer
from monai.engines.utils import IterationEvents
from monai.utils.enums import CommonKeys as Keys
from torch import nn

from monai_proto.engines.training_step import autocast_of, optimizer_step, plain_tensors
from monai_proto.losses.ramp_up import sigmoid_ramp_up
from monai_proto.losses.terms.step import SemiSupervisedStep
from monai_proto.losses.terms.term import Term
from monai_proto.losses.terms.weighted_terms import WeightedTerms
from monai_proto.networks.bare_network import bare_network

__all__ = ["SemiSupervisedTrainer"]

_PSEUDO_LABEL_SOURCES = ("teacher", "student")


class SemiSupervisedTrainer(Trainer):
    """
    Semi-supervised training of a :class:`ProjectedSegmentationNet`. The trainer orders the step; what is learnt from
    are its terms (``monai_proto.losses.terms``), from which it takes ``sum(ramp * weight * value)``.

    ``engine.state.output`` has, detached, so that the ordinary handlers can log them:

    ===============  ================================================================================================
    ``loss``         the total
    ``loss_<name>``  every term's value, without its weight
    ``ramp``         the current ramp-up factor, of the terms that are ramped
    ===============  ================================================================================================

    and ``image``, ``label`` and ``pred`` of the labelled part, as MONAI's ``SupervisedTrainer`` has them.

    Args:
        device: where to run.
        max_epochs: number of epochs.
        train_data_loader: yields ``{"labelled": {"image", "label"}, "unlabelled": {"image"}}``, see
            :class:`TwoStreamDataLoader`. An unlabelled item may have further, more strongly perturbed views of the same
            geometry under names that begin with ``image`` (``image_strong``, ``image_strong_2``): the student sees
            those, the pseudo-label source ``image``.
        network: called ``network(images, full_output=True)``; may be wrapped in DistributedDataParallel.
        optimizer: of the network and of the terms' own parameters, see ``term_parameter_groups``.
        terms: a list of terms, which is moved to the device, or their :class:`WeightedTerms`, which may be wrapped in
            DistributedDataParallel.
        teacher: the EMA copy of the network, kept by :class:`EMATeacherHandler`.
        pseudo_label_source: whose predictions label the unlabelled images, ``"teacher"`` or ``"student"``.
        confidence_floor: pseudo-labels below this probability are ignored.
        ramp_up_epochs: T of the sigmoid ramp-up, in epochs.
        train_handlers: handlers.
        kwargs: further arguments of MONAI's ``Trainer``: ``epoch_length``, ``prepare_batch``, ``key_metric``,
            ``additional_metrics``, ``amp``, ...

    Raises:
        ValueError: when terms are missing or of the same name, the pseudo-label source is unknown, or it is the teacher
            and there is none.
    """

    def __init__(
        self,
        device: torch.device | str,
        max_epochs: int,
        train_data_loader: Iterable,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        terms: Sequence[Term] | nn.Module,
        teacher: nn.Module | None = None,
        pseudo_label_source: str = "teacher",
        confidence_floor: float = 0.0,
        ramp_up_epochs: float = 40.0,
        train_handlers: Sequence | None = None,
        **kwargs: Any,
    ) -> None:
        if pseudo_label_source not in _PSEUDO_LABEL_SOURCES:
            raise ValueError(
                f"pseudo_label_source must be one of {_PSEUDO_LABEL_SOURCES}, got {pseudo_label_source!r}."
            )
        if pseudo_label_source == "teacher" and teacher is None:
            raise ValueError("teacher must be given with pseudo_label_source='teacher'.")
        super().__init__(device=device, max_epochs=max_epochs, data_loader=train_data_loader, handlers=None, **kwargs)
        self.network = network
        self.optimizer = optimizer
        self.terms = terms if isinstance(terms, nn.Module) else WeightedTerms(terms).to(self.state.device)
        self.teacher = teacher
        self.pseudo_label_source = pseudo_label_source
        self.confidence_floor = confidence_floor
        self.ramp_up_epochs = ramp_up_epochs
        if train_handlers is not None:
            self._register_handlers(train_handlers)

    @property
    def ramp(self) -> float:
        """The ramp-up factor of the current iteration; a function of the iteration alone."""
        epochs = (self.state.iteration - 1) / self.state.epoch_length
        return sigmoid_ramp_up(epochs, self.ramp_up_epochs)

    def _iteration(self, engine: Engine, batchdata: dict[str, Any]) -> dict[str, Any]:
        """One step; see the class for what it returns."""
        step = self._load(batchdata)
        self.network.train()
        self.terms.train()
        self.optimizer.zero_grad()
        with autocast_of(self):
            loss, values = self.terms(step)
        engine.fire_event(IterationEvents.LOSS_COMPLETED)
        optimizer_step(self, loss)
        state: Any = engine.state  # ignite takes a step's output for a number
        state.output = {
            Keys.IMAGE: step.images,
            Keys.LABEL: step.labels,
            Keys.PRED: step.student().logits.detach(),
            Keys.LOSS: loss.detach(),
            "ramp": torch.tensor(step.ramp),
            **{f"loss_{name}": value for name, value in values.items()},
        }
        engine.fire_event(IterationEvents.MODEL_COMPLETED)
        return state.output

    def _load(self, batchdata: Mapping[str, Mapping[str, torch.Tensor]]) -> SemiSupervisedStep:
        """The step of a batch, nothing of it computed."""
        images, labels = plain_tensors(self.prepare_batch(batchdata["labelled"], self.state.device, self.non_blocking))
        unlabelled = {
            key: plain_tensors(view.to(self.state.device, non_blocking=self.non_blocking))
            for key, view in batchdata["unlabelled"].items()
            if key.startswith(Keys.IMAGE) and isinstance(view, torch.Tensor)
        }
        terms = bare_network(self.terms)
        return SemiSupervisedStep(
            images,
            labels,
            unlabelled,
            self.network,
            views=terms.views,
            teacher=self.teacher if self.pseudo_label_source == "teacher" else None,
            confidence_floor=self.confidence_floor,
            ramp=self.ramp,
            epoch=self.state.epoch,
        )
