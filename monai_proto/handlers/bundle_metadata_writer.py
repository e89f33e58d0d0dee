"""Writes a bundle's metadata with the classes that are trained, beside the checkpoints."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from ignite.engine import Engine, Events

from monai_proto.data.atomic_write import write_text_atomically
from monai_proto.data.bundle_metadata import METADATA_NAME, metadata_with_labels, read_metadata

__all__ = ["BundleMetadataWriter"]


class BundleMetadataWriter:
    """
    Writes ``metadata.json`` into the folder of the checkpoints when training starts: that of the bundle, with the names
    of the classes trained. Inference takes the classes from there
    (:func:`monai_proto.data.bundle_metadata.checkpoint_label_names`).

    Args:
        meta_file: metadata of the bundle.
        label_names: names of the classes 0 .. C-1, the background first.
        num_classes: number C of classes that the network has.
        save_dir: folder of the checkpoints, made when missing.

    Raises:
        ValueError: when there are not as many names as classes.
    """

    def __init__(
        self, meta_file: str | os.PathLike, label_names: Sequence[str], num_classes: int, save_dir: str | os.PathLike
    ) -> None:
        if len(label_names) != num_classes:
            raise ValueError(
                f"num_classes is {num_classes}, but label_names has {len(label_names)}: {', '.join(label_names)}."
            )
        self.meta_file = meta_file
        self.label_names = list(label_names)
        self.save_dir = Path(save_dir)

    def attach(self, engine: Engine) -> None:
        """
        Args:
            engine: the trainer.
        """
        engine.add_event_handler(Events.STARTED, self)

    def __call__(self, engine: Engine) -> None:
        """
        Raises:
            ValueError: when the bundle's metadata cannot be read.
        """
        metadata = metadata_with_labels(read_metadata(self.meta_file), self.label_names)
        self.save_dir.mkdir(parents=True, exist_ok=True)
        write_text_atomically(self.save_dir / METADATA_NAME, json.dumps(metadata, indent=4) + "\n")
