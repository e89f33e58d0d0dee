"""Where every prototype of a bank comes from: the training image, the patch and its place."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import nn

__all__ = ["MAX_IMAGE_ID_BYTES", "PrototypeProvenance", "ProvenanceRecord", "decode_image_id", "encode_image_id"]

MAX_IMAGE_ID_BYTES = 256
_MAX_AXES = 3


class ProvenanceRecord(NamedTuple):
    """
    The source of one prototype.

    Attributes:
        image_id: the training image, as the data list names it.
        patch_index: index of the patch in the flattened grid (last axis fastest), or 0 for a pooled embedding.
        box: where the patch lies in the network's input, in fractions of the image's extent: (start, stop) for each
            spatial axis in the tensor's order, so (y0, y1, x0, x1) in 2-D. The whole image for a pooled embedding.
        distance: Euclidean distance of the prototype, as it was stored, from the patch's embedding.
        epoch: epoch of the push.
    """

    image_id: str
    patch_index: int
    box: tuple[float, ...]
    distance: float
    epoch: int


class PrototypeProvenance(nn.Module):
    """
    A provenance record for each slot of a prototype bank, kept in buffers: it travels with the weights through every
    checkpoint, is equal on all ranks, and loads with ``weights_only=True``.

    Args:
        num_slots: slots of the bank.
        spatial_dims: axes of a box, 1 to 3.
    """

    if TYPE_CHECKING:  # TorchScript reads a class's annotations, but not as the strings that they are here
        image_ids: torch.Tensor
        patch_indices: torch.Tensor
        boxes: torch.Tensor
        distances: torch.Tensor
        epochs: torch.Tensor

    def __init__(self, num_slots: int, spatial_dims: int = 2) -> None:
        super().__init__()
        if not 1 <= spatial_dims <= _MAX_AXES:
            raise ValueError(f"spatial_dims must be 1 to {_MAX_AXES}, got {spatial_dims}.")
        self.spatial_dims = spatial_dims
        self.register_buffer("image_ids", torch.zeros(num_slots, MAX_IMAGE_ID_BYTES, dtype=torch.uint8))
        self.register_buffer("patch_indices", torch.full((num_slots,), -1, dtype=torch.long))
        self.register_buffer("boxes", torch.zeros(num_slots, 2 * _MAX_AXES))
        self.register_buffer("distances", torch.full((num_slots,), torch.inf))
        self.register_buffer("epochs", torch.full((num_slots,), -1, dtype=torch.long))

    def record(self, slot: int, record: ProvenanceRecord) -> None:
        """
        Store the source of one prototype.

        Raises:
            ValueError: when the image id is longer than ``MAX_IMAGE_ID_BYTES`` bytes in UTF-8, or the box has another
                number of axes.
        """
        if len(record.box) != 2 * self.spatial_dims:
            raise ValueError(f"box must have {2 * self.spatial_dims} numbers, got {len(record.box)}.")
        self.image_ids[slot] = encode_image_id(record.image_id).to(self.image_ids.device)
        self.patch_indices[slot] = record.patch_index
        self.boxes[slot, : len(record.box)] = torch.tensor(record.box)
        self.distances[slot] = record.distance
        self.epochs[slot] = record.epoch

    def forget(self, slots: torch.Tensor) -> None:
        """Drop the records of slots (indices), whose prototypes have no source any more."""
        self.image_ids[slots] = 0
        self.patch_indices[slots] = -1
        self.boxes[slots] = 0
        self.distances[slots] = torch.inf
        self.epochs[slots] = -1

    def read(self, slot: int) -> ProvenanceRecord | None:
        """The source of one prototype; None when it was never pushed."""
        if int(self.epochs[slot]) < 0:
            return None
        return ProvenanceRecord(
            image_id=decode_image_id(self.image_ids[slot]),
            patch_index=int(self.patch_indices[slot]),
            box=tuple(self.boxes[slot, : 2 * self.spatial_dims].tolist()),
            distance=float(self.distances[slot]),
            epoch=int(self.epochs[slot]),
        )


def encode_image_id(image_id: str) -> torch.Tensor:
    """UTF-8 bytes (``MAX_IMAGE_ID_BYTES``,) with zeros behind.

    Raises:
        ValueError: when the id is empty or too long.
    """
    encoded = str(image_id).encode()
    if not 0 < len(encoded) <= MAX_IMAGE_ID_BYTES:
        raise ValueError(f"an image id must have 1 to {MAX_IMAGE_ID_BYTES} bytes, got {len(encoded)}: {image_id!r}.")
    return torch.tensor(list(encoded.ljust(MAX_IMAGE_ID_BYTES, b"\0")), dtype=torch.uint8)


def decode_image_id(encoded: torch.Tensor) -> str:
    """The reverse of :func:`encode_image_id`."""
    return bytes(encoded.tolist()).rstrip(b"\0").decode()
