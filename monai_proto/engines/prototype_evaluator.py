"""Evaluates a prototype classifier and keeps what explains each answer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from monai.engines import SupervisedEvaluator
from monai.engines.utils import IterationEvents
from monai.utils.enums import CommonKeys as Keys
from torch import nn

from monai_proto.engines.embedded_batches import image_ids_of
from monai_proto.engines.training_step import plain_tensors
from monai_proto.networks.bare_network import bare_network
from monai_proto.networks.explanation import explain
from monai_proto.networks.nets.prototype_classifier import PrototypeClassifier

__all__ = ["PrototypeEvaluator"]


class PrototypeEvaluator(SupervisedEvaluator):
    """
    MONAI's ``SupervisedEvaluator`` for a :class:`PrototypeClassifier`. ``engine.state.output`` is that of a whole
    batch: ``image``, ``label`` (B,) where there is one, ``pred`` (logits (B, C)), ``uncertainty`` (B,), and
    ``explanation``, a list of B :class:`Explanation`.

    Args:
        device: where to run.
        val_data_loader: yields dictionaries with ``image``, ``image_id`` and, if there are labels, ``label``.
        network: the classifier; may be wrapped in DistributedDataParallel.
        abstain_above: uncertainty above which an answer counts as abstained.
        num_prototypes: prototypes that an explanation names for the answer, and against it.
        id_key: key of the images' ids.
        kwargs: further arguments of ``SupervisedEvaluator``: ``key_val_metric``, ``val_handlers``, ``amp``, ...
    """

    def __init__(
        self,
        device: torch.device | str,
        val_data_loader: Iterable,
        network: nn.Module,
        abstain_above: float = 0.5,
        num_prototypes: int = 3,
        id_key: str = "image_id",
        **kwargs: Any,
    ) -> None:
        super().__init__(torch.device(device), val_data_loader, network, decollate=False, **kwargs)
        self.abstain_above = abstain_above
        self.num_prototypes = num_prototypes
        self.id_key = id_key

    def _iteration(self, engine: SupervisedEvaluator, batchdata: dict[str, Any]) -> dict[str, Any]:
        """One batch; see the class for what it returns."""
        images, labels = engine.prepare_batch(batchdata, self.state.device, self.non_blocking)
        ids = image_ids_of(batchdata, images, self.id_key)
        images = plain_tensors(images)
        network: PrototypeClassifier = bare_network(self.network)
        with (
            engine.mode(self.network),
            torch.autocast(self.state.device.type, enabled=self.amp, **self.amp_kwargs),
        ):
            output, grid = network.answer(images)
        answers: Any = {  # ignite annotates an engine's output as a number
            Keys.IMAGE: images,
            Keys.PRED: output.logits,
            "uncertainty": output.uncertainty,
            "explanation": explain(network.head, output, ids, grid, self.abstain_above, self.num_prototypes),
        }
        if labels is not None:
            answers[Keys.LABEL] = torch.as_tensor(labels).reshape(-1).long()
        engine.state.output = answers
        engine.fire_event(IterationEvents.FORWARD_COMPLETED)
        engine.fire_event(IterationEvents.MODEL_COMPLETED)
        return answers
