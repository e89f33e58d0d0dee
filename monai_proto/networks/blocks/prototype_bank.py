"""Prototypes of every class in slots that can be filled, moved and emptied."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from monai_proto.networks.blocks.prototype_provenance import PrototypeProvenance
from monai_proto.networks.tensor_checks import require_finite

__all__ = ["PrototypeBank"]


class PrototypeBank(nn.Module):
    """
    Up to ``max_prototypes`` learned embeddings for each of C classes.

    The parameter has a row for every slot from the start, and a mask says which slots are in use: growing and pruning
    change no shape, so that checkpoints, optimisers and DistributedDataParallel go on as before. The slots of class c
    are ``c * max_prototypes`` to ``(c + 1) * max_prototypes - 1``. With ``normalize`` every prototype is handed out
    with length 1, whatever an optimiser has made of the row.

    Args:
        num_classes: number C of classes.
        embedding_dim: size D of an embedding.
        num_prototypes: prototypes of a class at the start.
        max_prototypes: slots of a class.
        momentum: m of :meth:`ema_update`.
        normalize: whether prototypes are unit vectors.
        spatial_dims: axes of the boxes in the provenance.

    Attributes:
        prototypes: parameter (C * max_prototypes, D).
        valid_mask: buffer (C * max_prototypes,), bool: slots in use.
        prototype_labels: buffer (C * max_prototypes,), int64: the class of each slot.
        provenance: :class:`PrototypeProvenance` of the slots.

    Raises:
        ValueError: when a size is not positive, ``num_prototypes`` is above ``max_prototypes`` or ``momentum`` is not
            in 0 .. 1.

    Example::

        bank = PrototypeBank(num_classes=7, embedding_dim=64)
        bank.valid_prototypes().shape  # (35, 64)
    """

    if TYPE_CHECKING:  # TorchScript reads a class's annotations, but not as the strings that they are here
        valid_mask: torch.Tensor
        prototype_labels: torch.Tensor
        valid_slots: torch.Tensor

    def __init__(
        self,
        num_classes: int,
        embedding_dim: int,
        num_prototypes: int = 5,
        max_prototypes: int = 10,
        momentum: float = 0.9,
        normalize: bool = True,
        spatial_dims: int = 2,
    ) -> None:
        super().__init__()
        sizes = {"num_classes": num_classes, "embedding_dim": embedding_dim, "num_prototypes": num_prototypes}
        for name, size in sizes.items():
            if size < 1:
                raise ValueError(f"{name} must be at least 1, got {size}.")
        if num_prototypes > max_prototypes:
            raise ValueError(f"num_prototypes must be at most max_prototypes {max_prototypes}, got {num_prototypes}.")
        if not 0 <= momentum <= 1:
            raise ValueError(f"momentum must be in 0 .. 1, got {momentum}.")
        self.num_classes = num_classes
        self.embedding_dim = embedding_dim
        self.max_prototypes = max_prototypes
        self.momentum = momentum
        self.normalize = normalize
        slots = torch.arange(num_classes * max_prototypes)
        self.prototypes = nn.Parameter(F.normalize(torch.randn(len(slots), embedding_dim), dim=-1))
        # not of the class: TorchScript would read it there, and does not know types that are written as text
        self.valid_mask: torch.Tensor
        self.prototype_labels: torch.Tensor
        self.register_buffer("valid_mask", slots % max_prototypes < num_prototypes)
        self.register_buffer("prototype_labels", slots // max_prototypes)
        # kept beside the mask so that no step has to wait for the host to count it
        self.register_buffer("valid_slots", self.valid_mask.nonzero().flatten(), persistent=False)
        self.provenance = PrototypeProvenance(len(slots), spatial_dims)
        self.register_load_state_dict_post_hook(lambda bank, _: bank._refresh_slots())

    def valid_prototypes(self) -> torch.Tensor:
        """Prototypes in use (M, D), in the order of their slots; unit rows with ``normalize``."""
        prototypes = self.prototypes[self.valid_slots]
        return F.normalize(prototypes, dim=-1) if self.normalize else prototypes

    def valid_labels(self) -> torch.Tensor:
        """Classes (M,) of the prototypes in use."""
        return self.prototype_labels[self.valid_slots]

    @torch.no_grad()
    def ema_update(self, index: int | torch.Tensor, value: torch.Tensor, momentum: float | None = None) -> None:
        """
        Move prototypes: ``p = m p + (1 - m) v``, with v and the result normalised if the bank is.

        Args:
            index: one slot, or several (K,).
            value: embedding (D,), or one for each slot (K, D).
            momentum: m instead of the bank's own; 0 puts the value in the prototype's place.

        Raises:
            ValueError: when the value has another shape, or is not finite.
        """
        slots = torch.as_tensor(index, device=self.prototypes.device).reshape(-1)
        if value.shape[-1:] != (self.embedding_dim,) or value.numel() != len(slots) * self.embedding_dim:
            expected = f"({self.embedding_dim},) for each of {len(slots)} slots"
            raise ValueError(f"value must have shape {expected}, got {tuple(value.shape)}.")
        require_finite(value, "value")
        m = self.momentum if momentum is None else momentum
        value = value.reshape(len(slots), self.embedding_dim).to(self.prototypes)
        old = self.prototypes[slots]
        if self.normalize:
            old, value = F.normalize(old, dim=-1), F.normalize(value, dim=-1)
        new = m * old + (1 - m) * value
        self.prototypes[slots] = F.normalize(new, dim=-1) if self.normalize else new

    @torch.no_grad()
    def grow(self, label: int, value: torch.Tensor) -> int | None:
        """
        Put an embedding (D,) in a free slot of a class.

        Returns:
            the slot; None when the class has no free one.

        Raises:
            ValueError: when the class or the shape does not fit.
        """
        if not 0 <= label < self.num_classes:
            raise ValueError(f"label must be in 0 .. {self.num_classes - 1}, got {label}.")
        free = (~self.valid_mask & (self.prototype_labels == label)).nonzero().flatten()
        if len(free) == 0:
            return None
        slot = int(free[0])
        self.ema_update(slot, value, momentum=0.0)
        self.valid_mask[slot] = True
        self.provenance.forget(free[:1])
        self._refresh_slots()
        return slot

    @torch.no_grad()
    def prune(self, slots: torch.Tensor) -> None:
        """
        Take prototypes out of use.

        Args:
            slots: slots (K,).

        Raises:
            ValueError: when a slot is not in use, or a class would be left without a prototype.
        """
        slots = torch.as_tensor(slots, device=self.valid_mask.device).reshape(-1)
        if not bool(self.valid_mask[slots].all()):
            raise ValueError(f"slots must be in use, got {slots.tolist()}.")
        remaining = self.valid_mask.clone()
        remaining[slots] = False
        left = torch.bincount(self.prototype_labels[remaining], minlength=self.num_classes)
        if bool((left == 0).any()):
            raise ValueError(f"slots {slots.tolist()} would leave a class without a prototype: {left.tolist()}.")
        self.valid_mask.copy_(remaining)
        self.provenance.forget(slots)
        self._refresh_slots()

    def _refresh_slots(self) -> None:
        self.valid_slots = self.valid_mask.nonzero().flatten()
