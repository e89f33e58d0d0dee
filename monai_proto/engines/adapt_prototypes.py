"""Gives a class another prototype where its images are far from all that it has, and takes away what is not needed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import ignite.distributed as idist
import torch
import torch.nn.functional as F

from monai_proto.networks.blocks.prototype_bank import PrototypeBank
from monai_proto.networks.blocks.prototype_similarity import cosine_similarity_map, squared_distance_map
from monai_proto.networks.tensor_checks import require_class_labels, require_finite
from monai_proto.networks.tensor_exchange import gathered, summed

__all__ = ["AdaptationReport", "adapt_prototypes"]


@dataclass(frozen=True)
class AdaptationReport:
    """
    Attributes:
        grown: slots of new prototypes.
        pruned: slot -> why it was taken out of use, ``"never nearest"`` or ``"near-duplicate of slot N"``.
        full_classes: classes that should have had another prototype and have no free slot.
    """

    grown: list[int]
    pruned: dict[int, str]
    full_classes: list[int]


@torch.no_grad()
def adapt_prototypes(
    bank: PrototypeBank,
    embedded_batches: Iterable[tuple[torch.Tensor, torch.Tensor, Sequence[str]]],
    far_distance: float = 0.5,
    far_share: float = 0.2,
    duplicate_cosine: float = 0.98,
    prune_unused: bool = True,
) -> AdaptationReport:
    """
    One pass over the training images. The distance of an image from a prototype is that of its nearest patch: 1 -
    cosine for a bank of unit vectors, else squared Euclidean.

    A class of which at least ``far_share`` of the images lie farther than ``far_distance`` from all of its prototypes
    gets one more, at the mean embedding of its farthest image; a later push brings it onto a patch. Out of use go
    prototypes that are nearest to no image of their class, and of two nearly equal ones of a class the one that is
    nearest to fewer images. Every class keeps at least one. On several processes all end with the same bank.

    Args:
        bank: prototypes; changed in place.
        embedded_batches: yields patch embeddings (B, P, D), labels (B,) and the ids of the images.
        far_distance: distance from which on an image is far.
        far_share: share of far images from which on a class grows.
        duplicate_cosine: cosine from which on two prototypes of a class are near-duplicates.
        prune_unused: whether prototypes that are never nearest go.

    Raises:
        ValueError: when shapes or labels do not fit, or embeddings are not finite.
    """
    device = bank.prototypes.device
    images = torch.zeros(bank.num_classes, device=device)
    far = torch.zeros(bank.num_classes, device=device)
    usage = torch.zeros(len(bank.valid_mask), device=device)
    farthest = torch.full((bank.num_classes,), -torch.inf, device=device)
    candidates = torch.zeros(bank.num_classes, bank.embedding_dim, device=device)
    for patches, labels, _ in embedded_batches:
        labels = require_class_labels(labels, bank.num_classes, None, len(patches), "labels")
        require_finite(patches, "patch embeddings")
        patches, labels = patches.to(device).float(), labels.to(device)
        nearest, slots = _nearest_own(bank, patches, labels)
        images.index_add_(0, labels, torch.ones_like(nearest))
        far.index_add_(0, labels, (nearest > far_distance).float())
        usage.index_add_(0, slots, torch.ones_like(nearest))
        means = patches.mean(dim=1)
        for c in labels.unique().tolist():
            of_class = torch.where(labels == c, nearest, -torch.inf)
            index = int(of_class.argmax())
            if of_class[index] > farthest[c]:
                farthest[c], candidates[c] = of_class[index], means[index]
    images, far, usage = (summed(total) for total in (images, far, usage))
    candidates = _farthest_of_all(farthest, candidates)

    pruned = _superfluous(bank, usage, images, duplicate_cosine, prune_unused)
    if pruned:
        bank.prune(torch.tensor(sorted(pruned)))
    grown: list[int] = []
    full: list[int] = []
    for c in ((images > 0) & (far >= far_share * images) & (far > 0)).nonzero().flatten().tolist():
        slot = bank.grow(c, candidates[c])
        (full if slot is None else grown).append(c if slot is None else slot)
    return AdaptationReport(grown, pruned, full)


def _nearest_own(bank: PrototypeBank, patches: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Distance (B,) of each image from the nearest prototype of its class, and that prototype's slot."""
    prototypes = bank.valid_prototypes()
    if bank.normalize:
        distances = 1 - cosine_similarity_map(patches, prototypes)
    else:
        distances = squared_distance_map(patches, prototypes)
    own = labels[:, None] == bank.valid_labels()[None, :]
    nearest, index = torch.where(own, distances.amin(dim=2), torch.inf).min(dim=1)
    return nearest, bank.valid_slots[index]


def _farthest_of_all(farthest: torch.Tensor, candidates: torch.Tensor) -> torch.Tensor:
    """The candidate (C, D) of the process whose image is farthest."""
    if idist.get_world_size() == 1:
        return candidates
    winner = gathered(farthest[None]).argmax(dim=0)
    return gathered(candidates[None])[winner, torch.arange(len(winner), device=winner.device)]


def _superfluous(
    bank: PrototypeBank, usage: torch.Tensor, images: torch.Tensor, duplicate_cosine: float, prune_unused: bool
) -> dict[int, str]:
    """Slots to take out of use and why, leaving each class its most used prototype; classes without images rest."""
    pruned: dict[int, str] = {}
    unit = F.normalize(bank.prototypes.float(), dim=-1)
    for c in (images > 0).nonzero().flatten().tolist():
        slots = (bank.valid_mask & (bank.prototype_labels == c)).nonzero().flatten().tolist()
        kept: list[int] = []
        for slot in sorted(slots, key=lambda s: (-float(usage[s]), s)):
            twin = next((k for k in kept if float(unit[slot] @ unit[k]) >= duplicate_cosine), None)
            if kept and prune_unused and usage[slot] == 0:
                pruned[slot] = "never nearest"
            elif twin is not None:
                pruned[slot] = f"near-duplicate of slot {twin}"
            else:
                kept.append(slot)
    return pruned
