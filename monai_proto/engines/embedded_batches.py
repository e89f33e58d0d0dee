"""Runs a prototype classifier over a data loader and yields embeddings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from monai.data import MetaTensor
from monai.utils import ImageMetaKey

from monai_proto.engines.training_step import plain_tensors
from monai_proto.networks.nets.prototype_classifier import PrototypeClassifier

__all__ = ["EmbeddedBatches", "image_ids_of"]

_MODES = ("local", "global")


class EmbeddedBatches:
    """
    Yields (patch embeddings (B, P, D), labels (B,), image ids) of all batches, with the network in evaluation mode and
    without gradient; each pass runs the network anew. Afterwards the network is as it was.

    Args:
        network: the classifier, without DistributedDataParallel.
        data_loader: yields dictionaries; without random augmentation, so that a patch can be found again.
        device: where to run.
        mode: ``"local"`` for patches, ``"global"`` for the pooled embedding as the one patch of an image.
        image_key: key of the images.
        label_key: key of the labels (B,) or (B, 1).
        id_key: key of the images' ids; where a batch has none, the file name in the image's metadata counts.
        amp: whether to run under autocast.

    Attributes:
        grid: patches along each axis, known once the first batch was read; all ones with ``"global"``.

    Raises:
        ValueError: when the mode is unknown; while iterating, when a batch has no ids.
    """

    def __init__(
        self,
        network: PrototypeClassifier,
        data_loader: Iterable[dict[str, Any]],
        device: torch.device | str,
        mode: str = "local",
        image_key: str = "image",
        label_key: str = "label",
        id_key: str = "image_id",
        amp: bool = False,
    ) -> None:
        if mode not in _MODES:
            raise ValueError(f"mode must be one of {_MODES}, got {mode!r}.")
        self.network = network
        self.data_loader = data_loader
        self.device = torch.device(device)
        self.mode = mode
        self.image_key = image_key
        self.label_key = label_key
        self.id_key = id_key
        self.amp = amp
        self.grid: tuple[int, ...] | None = None

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor, list[str]]]:
        training = self.network.training
        self.network.eval()
        try:
            for batch in self.data_loader:
                yield self._embed(batch)
        finally:
            self.network.train(training)

    @torch.no_grad()
    def _embed(self, batch: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor, list[str]]:
        images = batch[self.image_key]
        ids = image_ids_of(batch, images, self.id_key)
        images = plain_tensors(images)
        with torch.autocast(self.device.type, enabled=self.amp):
            embedded = self.network.embed(images.to(self.device, non_blocking=True))
        labels = torch.as_tensor(batch[self.label_key]).reshape(-1).long()
        if self.mode == "global":
            self.grid = (1,) * len(embedded.grid)
            return embedded.pooled[:, None], labels, ids
        self.grid = embedded.grid
        return embedded.patches, labels, ids


def image_ids_of(batch: dict[str, Any], images: torch.Tensor, id_key: str) -> list[str]:
    """
    Names of a batch's images: what is under ``id_key``, else the file names in the images' metadata.

    Raises:
        ValueError: when there is neither.
    """
    ids: Sequence[str] | str | None = batch.get(id_key)
    if ids is None and isinstance(images, MetaTensor):
        ids = images.meta.get(ImageMetaKey.FILENAME_OR_OBJ)
    if ids is None:
        raise ValueError(
            f"a batch must name its images under {id_key!r}, or in their metadata: an answer is explained by images "
            "that have to be found again."
        )
    return [str(i) for i in ([ids] if isinstance(ids, str) else ids)]
