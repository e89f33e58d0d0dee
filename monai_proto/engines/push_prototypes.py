"""Moves every prototype to the nearest patch of its own class in the training images."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import ignite.distributed as idist
import torch

from monai_proto.networks.blocks.prototype_bank import PrototypeBank
from monai_proto.networks.blocks.prototype_provenance import MAX_IMAGE_ID_BYTES, decode_image_id, encode_image_id
from monai_proto.networks.tensor_checks import require_class_labels, require_finite
from monai_proto.networks.tensor_exchange import gathered, summed

__all__ = ["PushReport", "PushedPrototype", "push_prototypes"]

logger = logging.getLogger(__name__)

_LOG_EVERY = 50


@dataclass(frozen=True)
class PushedPrototype:
    """
    Attributes:
        slot: of the bank.
        label: class of the prototype.
        image_id: image of the nearest patch.
        patch_index: index of the patch in the image.
        min_distance: Euclidean distance of the patch from the prototype before the push.
        distance: the same afterwards: 0 with momentum 0.
    """

    slot: int
    label: int
    image_id: str
    patch_index: int
    min_distance: float
    distance: float


@dataclass(frozen=True)
class PushReport:
    """
    Attributes:
        pushed: prototypes that were moved, in the order of their slots.
        unseen_classes: classes with prototypes, but without an image; their prototypes were left as they were.
        patches_per_class: patches (C,) that were looked at.
        batches: batches that were read.
        complete: whether every patch was looked at; false when ``max_patches_per_class`` left some out.
    """

    pushed: list[PushedPrototype]
    unseen_classes: list[int]
    patches_per_class: list[int]
    batches: int
    complete: bool

    def min_distances(self) -> dict[int, float]:
        """Class -> smallest distance of its prototypes from a patch before the push."""
        smallest: dict[int, float] = {}
        for prototype in self.pushed:
            smallest[prototype.label] = min(smallest.get(prototype.label, float("inf")), prototype.min_distance)
        return smallest


@torch.no_grad()
def push_prototypes(
    bank: PrototypeBank,
    embedded_batches: Iterable[tuple[torch.Tensor, torch.Tensor, Sequence[str]]],
    momentum: float = 0.9,
    max_patches_per_class: int | None = 5000,
    normalize: bool = True,
) -> PushReport:
    """
    For every prototype in use, find the nearest patch f of its class by Euclidean distance, and move it there:
    ``p = m p + (1 - m) f``. Momentum 0 is ProtoPNet's projection (Chen et al., NeurIPS 2019, section 2.2).

    One pass, in which only the nearest patch of each prototype is kept: memory does not grow with the data. Of equally
    near patches the first one counts. On several processes each looks at its own share, and all end with the same
    bank.

    Args:
        bank: prototypes; moved in place.
        embedded_batches: yields patch embeddings (B, P, D), labels (B,) and the ids of the images.
        momentum: m.
        max_patches_per_class: patches of a class that are looked at, from the front; None for all of them. Reading
            stops when every class that has prototypes is full. Counted for each process.
        normalize: whether patches are brought to length 1 before they are compared.

    Raises:
        ValueError: when shapes or labels do not fit, embeddings are not finite, or momentum is not in 0 .. 1.
    """
    if not 0 <= momentum <= 1:
        raise ValueError(f"momentum must be in 0 .. 1, got {momentum}.")
    if max_patches_per_class is not None and max_patches_per_class < 1:
        raise ValueError(f"max_patches_per_class must be at least 1 or None, got {max_patches_per_class}.")
    search = _NearestPatches(bank, normalize)
    budget = max_patches_per_class
    complete, batches = True, 0
    for patches, labels, image_ids in embedded_batches:
        batches += 1
        counted = search.look_at(patches, labels, list(image_ids), budget)
        complete &= counted
        if batches % _LOG_EVERY == 0:
            logger.info("Push: %d batches, patches of each class %s", batches, search.counts.tolist())
        if budget is not None and search.is_full(budget):
            complete = False
            logger.info("Push: every class has its %d patches after %d batches.", budget, batches)
            break
    search.gather()
    return _move(bank, search, momentum, batches, complete)


@dataclass
class _NearestPatches:
    """The nearest patch so far of every prototype in use; groups them by class in a padded table of slots."""

    bank: PrototypeBank
    normalize: bool
    counts: torch.Tensor = field(init=False)

    def __post_init__(self) -> None:
        bank = self.bank
        device = bank.prototypes.device
        # prototypes in use of each class (C, K), padded with another class's: their results are never read
        self.in_use = bank.valid_mask.view(bank.num_classes, bank.max_prototypes)
        width = max(int(self.in_use.sum(dim=1).max()), 1)
        order = self.in_use.long().argsort(dim=1, descending=True, stable=True)[:, :width]
        first_slots = torch.arange(bank.num_classes, device=device)[:, None] * bank.max_prototypes
        self.slots = order + first_slots
        self.used = self.in_use.gather(1, order)
        vectors = bank.prototypes[self.slots].float()
        if bank.normalize:
            vectors = torch.nn.functional.normalize(vectors, dim=-1)
        self.vectors = vectors
        self.lengths = vectors.square().sum(dim=-1)
        self.distances = torch.full(self.slots.shape, torch.inf, device=device)
        self.nearest = torch.zeros_like(vectors)
        self.patch_indices = torch.full(self.slots.shape, -1, dtype=torch.long, device=device)
        self.image_ids: list[list[str]] = [[""] * width for _ in range(bank.num_classes)]
        self.counts = torch.zeros(bank.num_classes, dtype=torch.long)

    def look_at(self, patches: torch.Tensor, labels: torch.Tensor, image_ids: list[str], budget: int | None) -> bool:
        """Compare the patches of a batch with the prototypes of their class; false when some were left out."""
        labels = self._checked_labels(patches, labels, image_ids)
        if budget is not None:
            keep = self._within_budget(labels.cpu(), patches.shape[1], budget)
        else:
            keep = torch.full((len(labels),), patches.shape[1])
        self.counts.index_add_(0, labels.cpu(), keep)
        if not len(labels):
            return True
        labels = labels.to(patches.device)
        squared, where = self._nearest_in_images(patches, labels, keep)
        self._improve(squared, where, patches, labels, image_ids)
        return bool((keep == patches.shape[1]).all())

    def is_full(self, budget: int) -> bool:
        """Whether every class with prototypes has as many patches as are looked at."""
        return bool((self.counts >= budget)[self.in_use.any(dim=1).cpu()].all())

    def gather(self) -> None:
        """Let all processes agree on the nearest patch of any of them; the lowest rank wins a tie."""
        if idist.get_world_size() == 1:
            return
        distances = gathered(self.distances[None])
        winner = distances.argmin(dim=0)
        encoded = torch.stack([torch.stack([_encoded(i) for i in row]) for row in self.image_ids])
        encoded = encoded.to(self.distances.device)
        columns = (self.nearest, self.patch_indices, encoded)
        nearest, patch_indices, ids = (_take(gathered(column[None]), winner) for column in columns)
        self.distances, self.nearest, self.patch_indices = distances.amin(dim=0), nearest, patch_indices
        self.image_ids = [[decode_image_id(i) for i in row] for row in ids]
        self.counts = summed(self.counts.to(self.distances.device)).cpu()

    def _checked_labels(self, patches: torch.Tensor, labels: torch.Tensor, image_ids: list[str]) -> torch.Tensor:
        """The labels as int64."""
        dim = self.bank.embedding_dim
        if patches.ndim != 3 or patches.shape[2] != dim or patches.shape[1] == 0:
            raise ValueError(f"patch embeddings must have shape (B, P, {dim}), got {tuple(patches.shape)}.")
        if len(image_ids) != len(patches):
            raise ValueError(f"there must be one image id for each of {len(patches)} images, got {len(image_ids)}.")
        return require_class_labels(labels, self.bank.num_classes, None, len(patches), "labels")

    def _within_budget(self, labels: torch.Tensor, num_patches: int, budget: int) -> torch.Tensor:
        """Patches of every image (B,) that its class still takes, the images in their order."""
        same_class = labels[:, None] == labels[None, :]
        earlier = same_class.tril(diagonal=-1).sum(dim=1) * num_patches
        return (budget - self.counts[labels] - earlier).clamp(0, num_patches)

    def _nearest_in_images(
        self, patches: torch.Tensor, labels: torch.Tensor, keep: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Squared distance (B, K) of each prototype of the image's class from its nearest patch, and that patch."""
        own = self.vectors[labels]
        products = torch.bmm(patches.float(), own.transpose(1, 2))
        lengths = torch.linalg.vector_norm(patches.float(), dim=2, keepdim=True)
        # a row with a value that is not finite has no finite length; this spares reading all values once more
        require_finite(lengths, "lengths of patch embeddings")
        if self.normalize:
            products, lengths = products / lengths.clamp(min=1e-12), torch.ones_like(lengths)
        squared = lengths.square() - 2 * products + self.lengths[labels][:, None, :]
        if bool((keep < patches.shape[1]).any()):
            beyond = torch.arange(patches.shape[1])[None, :] >= keep[:, None]
            squared = squared.masked_fill(beyond.to(squared.device)[..., None], torch.inf)
        return squared.min(dim=1)

    def _improve(
        self,
        squared: torch.Tensor,
        where: torch.Tensor,
        patches: torch.Tensor,
        labels: torch.Tensor,
        image_ids: list[str],
    ) -> None:
        """Take over what is nearer than what was found before; few images of a batch do better, and those are read."""
        best = torch.full_like(self.distances, torch.inf).scatter_reduce_(
            0, labels[:, None].expand_as(squared), squared, "amin"
        )
        better = (best < self.distances) & self.used
        candidates = (squared == best[labels]) & better[labels]
        # the first image of those at the same distance
        for image, column in reversed(candidates.nonzero().tolist()):
            label, patch = int(labels[image]), int(where[image, column])
            self.nearest[label, column] = patches[image, patch].float()
            self.patch_indices[label, column] = patch
            self.image_ids[label][column] = image_ids[image]
        self.distances = torch.where(better, best, self.distances)


def _encoded(image_id: str) -> torch.Tensor:
    """Bytes of an id, all zero for none."""
    return encode_image_id(image_id) if image_id else torch.zeros(MAX_IMAGE_ID_BYTES, dtype=torch.uint8)


def _take(columns: torch.Tensor, winner: torch.Tensor) -> torch.Tensor:
    """Rows of the winning rank: columns (R, C, K, ...), winner (C, K)."""
    index = winner.reshape(1, *winner.shape, *[1] * (columns.ndim - 3)).expand(1, *columns.shape[1:])
    return columns.gather(0, index).squeeze(0)


def _move(bank: PrototypeBank, search: _NearestPatches, momentum: float, batches: int, complete: bool) -> PushReport:
    """Move the prototypes for which a patch was found, all at once, and say what was done."""
    found = search.used & torch.isfinite(search.distances)
    slots, nearest = search.slots[found], search.nearest[found]
    if search.normalize:
        nearest = torch.nn.functional.normalize(nearest, dim=-1)
    before = (search.vectors[found] - nearest).norm(dim=-1)
    bank.ema_update(slots, nearest, momentum)
    after = (bank.prototypes[slots].float() - nearest).norm(dim=-1)
    ids = [search.image_ids[c][k] for c, k in found.nonzero().tolist()]
    pushed = [
        PushedPrototype(*row)
        for row in zip(
            slots.tolist(),
            bank.prototype_labels[slots].tolist(),
            ids,
            search.patch_indices[found].tolist(),
            before.tolist(),
            after.tolist(),
            strict=True,
        )
    ]
    # a class may be full or absent on one process only: what counts is whether anything was found
    unseen = (search.used.any(dim=1) & ~found.any(dim=1)).nonzero().flatten().tolist()
    return PushReport(sorted(pushed, key=lambda p: p.slot), unseen, search.counts.tolist(), batches, complete)
