"""Grows and prunes prototypes while a classifier trains."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from ignite.engine import Engine, Events

from monai_proto.engines.adapt_prototypes import AdaptationReport, adapt_prototypes
from monai_proto.engines.embedded_batches import EmbeddedBatches
from monai_proto.networks.bare_network import bare_network
from monai_proto.networks.nets.prototype_classifier import PrototypeClassifier
from monai_proto.optimizers.row_state import forget_rows

__all__ = ["PrototypeAdaptationHandler"]


class PrototypeAdaptationHandler:
    """
    At the end of some epochs runs :func:`adapt_prototypes` over the training images; weights and optimiser state of new
    prototypes start afresh. Attach it before :class:`PrototypePushHandler`, so that a push of the same epoch brings new
    prototypes onto patches.

    Args:
        network: the classifier; may be wrapped in DistributedDataParallel.
        data_loader: training images without random augmentation; each process reads its own share.
        device: where to run.
        optimizer: of the network.
        start_epoch: first epoch after which prototypes are adapted.
        interval: epochs from one time to the next.
        last_epoch: the last epoch, which should lie before a projection; None for no end.
        far_distance, far_share, duplicate_cosine, prune_unused: see :func:`adapt_prototypes`.
        image_key, label_key, id_key: see :class:`EmbeddedBatches`.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        data_loader: Iterable[dict[str, Any]],
        device: torch.device | str,
        optimizer: torch.optim.Optimizer,
        start_epoch: int = 5,
        interval: int = 5,
        last_epoch: int | None = None,
        far_distance: float = 0.5,
        far_share: float = 0.2,
        duplicate_cosine: float = 0.98,
        prune_unused: bool = True,
        image_key: str = "image",
        label_key: str = "label",
        id_key: str = "image_id",
    ) -> None:
        if start_epoch < 1 or interval < 1:
            raise ValueError(f"start_epoch and interval must be at least 1, got {start_epoch} and {interval}.")
        self.network: PrototypeClassifier = bare_network(network)
        self.data_loader = data_loader
        self.device = device
        self.optimizer = optimizer
        self.start_epoch = start_epoch
        self.interval = interval
        self.last_epoch = last_epoch
        self.limits: dict[str, Any] = {
            "far_distance": far_distance,
            "far_share": far_share,
            "duplicate_cosine": duplicate_cosine,
            "prune_unused": prune_unused,
        }
        self.keys: dict[str, Any] = {"image_key": image_key, "label_key": label_key, "id_key": id_key}
        self.report: AdaptationReport | None = None

    def attach(self, engine: Engine) -> None:
        """
        Args:
            engine: the trainer.
        """
        engine.add_event_handler(Events.EPOCH_COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        epoch = engine.state.epoch
        due = epoch >= self.start_epoch and (epoch - self.start_epoch) % self.interval == 0
        if not due or (self.last_epoch is not None and epoch > self.last_epoch):
            return
        head = self.network.head
        batches = EmbeddedBatches(self.network, self.data_loader, self.device, **self.keys)
        self.report = report = adapt_prototypes(head.bank, batches, **self.limits)
        head.reset_slots(report.grown)
        forget_rows(self.optimizer, head.bank.prototypes, report.grown)
        forget_rows(self.optimizer, head.class_weight, report.grown, dim=1)
        engine.logger.info(
            f"Prototypes after epoch {epoch}: {len(report.grown)} grown, {len(report.pruned)} pruned {report.pruned}, "
            f"{len(head.bank.valid_slots)} in use."
        )
        if report.full_classes:
            engine.logger.warning(f"Classes {report.full_classes} want another prototype, but have no free slot.")
