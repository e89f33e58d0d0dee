"""Pushes prototypes to training patches while a classifier trains."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from ignite.engine import Engine, Events

from monai_proto.engines.embedded_batches import EmbeddedBatches
from monai_proto.engines.push_prototypes import PushReport, push_prototypes
from monai_proto.networks.bare_network import bare_network
from monai_proto.networks.blocks.prototype_provenance import ProvenanceRecord
from monai_proto.networks.nets.prototype_classifier import PrototypeClassifier
from monai_proto.networks.patch_grid import patch_box

__all__ = ["PrototypePushHandler"]


class PrototypePushHandler:
    """
    At the end of some epochs runs the classifier over the training images, moves every prototype towards the nearest
    patch of its class (:func:`push_prototypes`), and records in the bank where each one came from.

    After ``projection_epoch`` prototypes are put exactly on patches, looking at all of them; let only the last layer
    train from there on (:class:`PrototypeStageHandler`), and every prototype in the final model *is* a training patch.
    A projection belongs at the end: between pushes the network moves on, and a record says where a prototype came from
    at its epoch.

    Args:
        network: the classifier; may be wrapped in DistributedDataParallel.
        data_loader: training images without random augmentation; each process reads its own share.
        device: where to run.
        start_epoch: first epoch with a push.
        interval: epochs from one push to the next.
        projection_epoch: epoch of the projection, after which there are no pushes; None for no projection.
        mode: ``"local"`` for patches, ``"global"`` for pooled embeddings.
        momentum: of ordinary pushes.
        max_patches_per_class: of ordinary pushes; None looks at all.
        image_key, label_key, id_key: see :class:`EmbeddedBatches`.
        amp: whether to run under autocast. A projection never does, so that distances can be recomputed.

    Attributes:
        report: :class:`PushReport` of the last push.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        data_loader: Iterable[dict[str, Any]],
        device: torch.device | str,
        start_epoch: int = 10,
        interval: int = 5,
        projection_epoch: int | None = None,
        mode: str = "local",
        momentum: float = 0.9,
        max_patches_per_class: int | None = 5000,
        image_key: str = "image",
        label_key: str = "label",
        id_key: str = "image_id",
        amp: bool = False,
    ) -> None:
        if start_epoch < 1 or interval < 1:
            raise ValueError(f"start_epoch and interval must be at least 1, got {start_epoch} and {interval}.")
        self.network: PrototypeClassifier = bare_network(network)
        self.data_loader = data_loader
        self.device = device
        self.start_epoch = start_epoch
        self.interval = interval
        self.projection_epoch = projection_epoch
        self.mode = mode
        self.momentum = momentum
        self.max_patches_per_class = max_patches_per_class
        self.keys: dict[str, Any] = {"image_key": image_key, "label_key": label_key, "id_key": id_key}
        self.amp = amp
        self.report: PushReport | None = None

    def attach(self, engine: Engine) -> None:
        """
        Args:
            engine: the trainer.
        """
        engine.add_event_handler(Events.EPOCH_COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        epoch = engine.state.epoch
        if epoch == self.projection_epoch:
            self.push(engine, momentum=0.0, max_patches_per_class=None, amp=False)
        elif self._is_due(epoch):
            self.push(engine, self.momentum, self.max_patches_per_class, self.amp)

    def push(self, engine: Engine, momentum: float, max_patches_per_class: int | None, amp: bool) -> PushReport:
        """Push now."""
        bank = self.network.head.bank
        batches = EmbeddedBatches(self.network, self.data_loader, self.device, self.mode, amp=amp, **self.keys)
        report = push_prototypes(bank, batches, momentum, max_patches_per_class, normalize=bank.normalize)
        for pushed in report.pushed:
            assert batches.grid is not None  # a patch was found, so a batch was read
            box = patch_box(pushed.patch_index, batches.grid)
            record = ProvenanceRecord(pushed.image_id, pushed.patch_index, box, pushed.distance, engine.state.epoch)
            bank.provenance.record(pushed.slot, record)
        self.report = report
        engine.logger.info(
            f"Push after epoch {engine.state.epoch}: {len(report.pushed)} prototypes moved; patches of each class "
            f"{report.patches_per_class}; min_dist { ({c: round(d, 4) for c, d in report.min_distances().items()}) }."
        )
        if report.unseen_classes:
            engine.logger.warning(
                f"Push: no training image of the classes {report.unseen_classes}; their prototypes stay as they were."
            )
        return report

    def _is_due(self, epoch: int) -> bool:
        if self.projection_epoch is not None and epoch > self.projection_epoch:
            return False
        return epoch >= self.start_epoch and (epoch - self.start_epoch) % self.interval == 0
