"""Draws the gallery of prototypes and keeps their source images."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from ignite.engine import Engine, Events

from monai_proto.data.source_images import SourceImages
from monai_proto.networks.bare_network import bare_network
from monai_proto.networks.nets.prototype_classifier import PrototypeClassifier
from monai_proto.visualize.prototype_gallery import draw_prototype_gallery

__all__ = ["PrototypeGalleryWriter"]


class PrototypeGalleryWriter:
    """
    At the end of a run draws ``gallery.png``. With ``image_files`` (on the trainer) the training images behind
    the prototypes are copied into ``source_dir`` first; without (on an evaluator) the copies are expected there.

    Args:
        output_dir: folder of the gallery, made when missing.
        network: the classifier; may be wrapped in DistributedDataParallel.
        class_names: of the classes.
        source_dir: folder of the copies, see :class:`SourceImages`.
        image_files: id of a training image -> file.
        write: false on the ranks of a distributed run that do not write.
    """

    def __init__(
        self,
        output_dir: str,
        network: torch.nn.Module,
        class_names: list[str],
        source_dir: str,
        image_files: Mapping[str, str] | None = None,
        write: bool = True,
    ) -> None:
        self.output_dir = Path(output_dir)
        self.network: PrototypeClassifier = bare_network(network)
        self.class_names = list(class_names)
        self.sources = SourceImages(source_dir)
        self.image_files = image_files
        self.write = write

    def attach(self, engine: Engine) -> None:
        """
        Args:
            engine: the trainer, or an evaluator.
        """
        engine.add_event_handler(Events.COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        if not self.write:
            return
        bank = self.network.head.bank
        labels = bank.valid_labels().tolist()
        records = [
            (slot, label, bank.provenance.read(slot))
            for slot, label in zip(bank.valid_slots.tolist(), labels, strict=True)
        ]
        if self.image_files is not None:
            ids = {record.image_id for *_, record in records if record is not None}
            self.sources.save(sorted(ids), self.image_files.__getitem__)
        pages = draw_prototype_gallery(records, self.sources.load, self.class_names, self.output_dir / "gallery.png")
        engine.logger.info(f"Prototype gallery: {', '.join(map(str, pages))}")
