"""A bank that holds a few feature rows of every class, in buffers on the model's device."""

from __future__ import annotations

import ignite.distributed as idist
import torch
import torch.nn.functional as F
from torch import nn

from monai_proto.networks.tensor_checks import require_class_labels, require_finite, require_rows
from monai_proto.networks.tensor_exchange import gathered

__all__ = ["ClassMemoryBank"]

_POLICIES = ("replace", "fifo")
_SELECTIONS = ("highest", "lowest", "first", "random")
_CHUNK = 256


class ClassMemoryBank(nn.Module):
    """
    Keeps up to K feature rows of each of C classes.

    Background: the class-wise memory bank of SemiSeg-Contrastive (Alonso et al., ICCV 2021), as SS-Net (Wu et al.,
    MICCAI 2022) uses it. The rows are buffers: checkpoints, ``.to()`` and exact resume include them.

    On several processes (``torch.distributed`` initialised) every rank contributes its candidates and all ranks end
    with the same bank; ``update`` is then a collective call that all ranks have to make.

    Args:
        num_classes: number C of classes; labels are 0 .. C-1.
        feature_dim: size D of a row.
        rows_per_class: K, the most rows that a class keeps.
        policy: ``"replace"``, an online bank: the rows of a class that occurs in a call take the place of all that it
            had (SS-Net); ``"fifo"``, a queue: they are put before them and the oldest drop out (SemiSeg-Contrastive).
        selection: which K of the rows that are given. ``"highest"`` and ``"lowest"`` rank by the scores given to
            ``update`` (the first K where it is given none), ``"first"`` and ``"random"`` do not look at scores.
            The peers describe "highest", but sort in ascending order and so keep the lowest: ``"lowest"``
            reproduces their numbers. In training the choice made no difference that three seeds could show (on
            hippocampus, docs/benchmarks.md); the default is what they describe.
        ignore_index: label of rows that belong to no class.

    Attributes:
        rows: buffer (C, K, D), float32; rows from ``counts[c]`` on are zero.
        counts: buffer (C,), int64, the number of rows that a class has.

    Raises:
        ValueError: when a size is not positive, or ``policy`` or ``selection`` is unknown.

    Example::

        bank = ClassMemoryBank(num_classes=3, feature_dim=16)
        bank.update(torch.randn(400, 16), torch.randint(0, 3, (400,)))
        bank.class_means()  # (3, 16)
    """

    rows: torch.Tensor
    counts: torch.Tensor

    def __init__(
        self,
        num_classes: int,
        feature_dim: int,
        rows_per_class: int = 32,
        policy: str = "replace",
        selection: str = "highest",
        ignore_index: int = -1,
    ) -> None:
        super().__init__()
        for name, size in (
            ("num_classes", num_classes),
            ("feature_dim", feature_dim),
            ("rows_per_class", rows_per_class),
        ):
            if size < 1:
                raise ValueError(f"{name} must be at least 1, got {size}.")
        if policy not in _POLICIES:
            raise ValueError(f"policy must be one of {_POLICIES}, got {policy!r}.")
        if selection not in _SELECTIONS:
            raise ValueError(f"selection must be one of {_SELECTIONS}, got {selection!r}.")
        self.num_classes = num_classes
        self.feature_dim = feature_dim
        self.rows_per_class = rows_per_class
        self.policy = policy
        self.selection = selection
        self.ignore_index = ignore_index
        self.register_buffer("rows", torch.zeros(num_classes, rows_per_class, feature_dim))
        self.register_buffer("counts", torch.zeros(num_classes, dtype=torch.long))

    def extra_repr(self) -> str:
        return (
            f"num_classes={self.num_classes}, feature_dim={self.feature_dim}, rows_per_class={self.rows_per_class}, "
            f"policy={self.policy!r}, selection={self.selection!r}"
        )

    @torch.no_grad()
    def update(self, features: torch.Tensor, labels: torch.Tensor, scores: torch.Tensor | None = None) -> None:
        """
        Take rows into the bank. A class that has no row in the call keeps what it had.

        Args:
            features: rows (N, D) of any floating type.
            labels: class of each row (N,), integers in 0 .. C-1, or ``ignore_index``.
            scores: rank of each row (N,), used by the selections "highest" and "lowest".

        Raises:
            ValueError: when a shape does not fit, a label is out of range, or features or scores are not finite.
        """
        require_rows(features, self.feature_dim, "features")
        labels = require_class_labels(labels, self.num_classes, self.ignore_index, features.shape[0], "labels")
        require_finite(features, "features")
        if scores is not None:
            if scores.shape != labels.shape:
                raise ValueError(f"scores must have shape {tuple(labels.shape)}, got {tuple(scores.shape)}.")
            require_finite(scores, "scores")
        keys = self._keys(labels, scores)
        rows, keys = self._best_rows(features.detach(), labels, keys)
        if idist.get_world_size() > 1:
            rows, keys = self._best_of_all_ranks(rows, keys)
        self._store(rows, keys > _least(keys.dtype))

    def class_means(self, row_weights: torch.Tensor | None = None) -> torch.Tensor:
        """
        Mean of the unit-length rows of each class; zero for a class without rows. It is what a mean of cosine
        similarities to the bank needs: the mean of ``f . m_j`` over j is ``f`` times the mean of ``m_j``.

        Args:
            row_weights: weights (C, K), of mean 1 over the rows of each class; without them all rows count alike.

        Returns:
            (C, D), not of unit length.
        """
        unit_rows = F.normalize(self.rows, dim=-1)
        if row_weights is not None:
            unit_rows = unit_rows * row_weights.unsqueeze(-1)
        return unit_rows.sum(1) / self.counts.clamp(min=1).unsqueeze(-1)

    def row_mask(self) -> torch.Tensor:
        """Which rows are in use, (C, K), bool."""
        return torch.arange(self.rows_per_class, device=self.counts.device) < self.counts.unsqueeze(-1)

    def _keys(self, labels: torch.Tensor, scores: torch.Tensor | None) -> torch.Tensor:
        """Rank of each row (N,), the larger the better: a position is an integer, and so exact."""
        if self.selection == "random":
            return torch.rand(labels.shape, device=labels.device, dtype=torch.float64)
        if scores is None or self.selection == "first":
            return -torch.arange(labels.shape[0], device=labels.device, dtype=torch.int32)
        exact = torch.promote_types(scores.dtype, torch.float32) if scores.is_floating_point() else torch.float64
        return scores.to(exact) if self.selection == "highest" else -scores.to(exact)

    def _best_rows(
        self, features: torch.Tensor, labels: torch.Tensor, keys: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The K rows of each class with the largest keys: (C, K, D) and their keys (C, K), the least where none is."""
        none = _least(keys.dtype)
        num_rows, device = features.shape[0], labels.device
        padding = -num_rows % _CHUNK if num_rows else _CHUNK
        padding += -(-self.rows_per_class // _CHUNK) * _CHUNK
        keys = F.pad(keys, (0, padding), value=none)
        labels = F.pad(labels, (0, padding), value=self.ignore_index)
        of_class = labels == torch.arange(self.num_classes, device=device).unsqueeze(-1)
        best_keys, index = _top(torch.where(of_class, keys, none), self.rows_per_class)
        present = best_keys > none
        # a class with K rows or fewer keeps them all, in the order in which they were given
        fits = (of_class.sum(1, keepdim=True) <= self.rows_per_class) & present
        order = torch.where(fits, index, num_rows).sort(dim=1, stable=True).indices
        best_keys, index = best_keys.take_along_dim(order, dim=1), index.take_along_dim(order, dim=1)
        if num_rows == 0:
            return self.rows.new_zeros(self.rows.shape), best_keys
        rows = features[torch.where(present, index, 0)].to(self.rows.dtype)
        return rows * present.unsqueeze(-1), best_keys

    def _best_of_all_ranks(self, rows: torch.Tensor, keys: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The K best of the candidates of all ranks; every rank computes the same."""
        world_size = idist.get_world_size()
        all_rows = gathered(rows.unsqueeze(0)).transpose(0, 1)  # (C, ranks, K, D)
        all_keys = gathered(keys.unsqueeze(0)).permute(1, 2, 0)  # (C, K, ranks): ties go round the ranks
        all_rows = all_rows.transpose(1, 2).reshape(self.num_classes, self.rows_per_class * world_size, -1)
        keys, order = all_keys.flatten(1).sort(dim=1, descending=True, stable=True)
        keys, order = keys[:, : self.rows_per_class], order[:, : self.rows_per_class]
        return all_rows.take_along_dim(order.unsqueeze(-1), dim=1), keys

    def _store(self, rows: torch.Tensor, present: torch.Tensor) -> None:
        """Put candidates (C, K, D), those with ``present`` (C, K) first, into the buffers by the bank's policy."""
        given = present.sum(1)
        if self.policy == "replace":
            seen = given > 0
            self.rows.copy_(torch.where(seen[:, None, None], rows, self.rows))
            self.counts.copy_(torch.where(seen, given, self.counts))
            return
        queue = torch.cat([rows, self.rows], dim=1)
        in_use = torch.cat([present, self.row_mask()], dim=1)
        order = in_use.long().sort(dim=1, descending=True, stable=True).indices[:, : self.rows_per_class]
        self.rows.copy_(queue.take_along_dim(order.unsqueeze(-1), dim=1))
        self.counts.copy_((given + self.counts).clamp(max=self.rows_per_class))


def _least(dtype: torch.dtype) -> float | int:
    """The key of a place without a row, below that of any row."""
    return -torch.inf if dtype.is_floating_point else torch.iinfo(dtype).min


def _top(keys: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """
    The k largest of (C, N) and where they are, as ``keys.topk(k)``, but with one vectorised reduction of all keys: they
    lie in the k chunks that have the largest maxima. N is a multiple of the chunk size and at least k.
    """
    chunks = keys.unflatten(1, (-1, _CHUNK))
    chosen = chunks.amax(2).topk(min(k, chunks.shape[1]), dim=1).indices
    candidates = chunks.take_along_dim(chosen.unsqueeze(-1), dim=1).flatten(1)
    best, place = candidates.topk(k, dim=1)
    chunk = chosen.take_along_dim(place // _CHUNK, dim=1)
    return best, chunk * _CHUNK + place % _CHUNK
