"""A data loader whose batches have a labelled and an unlabelled part, and the order that it draws in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from monai.data import DataLoader
from monai.data.utils import list_data_collate
from torch.utils.data import ConcatDataset, Dataset, Sampler

__all__ = ["TwoStreamBatchSampler", "TwoStreamCollate", "TwoStreamDataLoader"]


class TwoStreamCollate:
    """
    Collates the items of a batch of :class:`TwoStreamBatchSampler` into
    ``{"labelled": batch, "unlabelled": batch}``, each as MONAI's ``list_data_collate`` makes it.

    Args:
        labelled_batch_size: how many of the items, from the first on, are labelled.
    """

    def __init__(self, labelled_batch_size: int) -> None:
        self.labelled_batch_size = labelled_batch_size

    def __call__(self, items: Sequence[Any]) -> dict[str, Any]:
        return {
            "labelled": list_data_collate(items[: self.labelled_batch_size]),
            "unlabelled": list_data_collate(items[self.labelled_batch_size :]),
        }


class TwoStreamDataLoader(DataLoader):
    """
    MONAI's ``DataLoader`` over a labelled and an unlabelled data set, which may have transforms of their own.

    Args:
        labelled_dataset: items with ``image`` and ``label``.
        unlabelled_dataset: items with ``image``.
        labelled_batch_size: labelled items in a batch.
        unlabelled_batch_size: unlabelled items in a batch.
        num_batches: batches in an epoch; by default one pass over the unlabelled items.
        seed: seed of the order, see :class:`TwoStreamBatchSampler`.
        num_replicas: processes that share an epoch.
        rank: which of them this one is.
        num_workers: processes that load data; 0 loads in the main one.
        kwargs: further arguments of ``torch.utils.data.DataLoader``, such as ``pin_memory``.

    Raises:
        ValueError: when the labelled data set is empty, or the unlabelled one smaller than a batch needs.
    """

    def __init__(
        self,
        labelled_dataset: Dataset,
        unlabelled_dataset: Dataset,
        labelled_batch_size: int = 2,
        unlabelled_batch_size: int = 2,
        num_batches: int | None = None,
        seed: int = 0,
        num_replicas: int = 1,
        rank: int = 0,
        num_workers: int = 0,
        **kwargs: Any,
    ) -> None:
        items: ConcatDataset[Any] = ConcatDataset([labelled_dataset, unlabelled_dataset])
        num_labelled, num_items = items.cumulative_sizes
        sampler = TwoStreamBatchSampler(
            num_labelled,
            num_items - num_labelled,
            labelled_batch_size,
            unlabelled_batch_size,
            num_batches=num_batches,
            seed=seed,
            num_replicas=num_replicas,
            rank=rank,
        )
        super().__init__(
            items,
            num_workers=num_workers,
            batch_sampler=sampler,
            collate_fn=TwoStreamCollate(labelled_batch_size),
            **kwargs,
        )


class TwoStreamBatchSampler(Sampler[list[int]]):
    """
    Yields indices of a labelled data set followed by an unlabelled one: in each batch ``labelled_batch_size`` indices
    below ``num_labelled``, then ``unlabelled_batch_size`` from there on.

    Both streams go through random permutations of their items, one after the other and across epochs, so that each
    item is drawn equally often; the few labelled ones come round several times while the unlabelled ones pass once.
    A batch may hold a labelled item twice when there are fewer of them than it takes (crops of it differ). The order
    is a function of ``seed`` and the epoch alone: a resumed run draws what the uninterrupted one would have drawn.

    On several processes every rank takes its share of a global batch of ``num_replicas`` times the sizes.

    Args:
        num_labelled: labelled items.
        num_unlabelled: unlabelled items, which have the indices from ``num_labelled`` on.
        labelled_batch_size: labelled items in a batch.
        unlabelled_batch_size: unlabelled items in a batch.
        num_batches: batches in an epoch; by default one pass over the unlabelled items.
        seed: seed of the order.
        num_replicas: processes that share an epoch.
        rank: which of them this one is.

    Raises:
        ValueError: when there is no labelled item, or fewer unlabelled ones than a global batch needs.

    Example::

        sampler = TwoStreamBatchSampler(num_labelled=3, num_unlabelled=8, labelled_batch_size=2,
                                        unlabelled_batch_size=2)
        next(iter(sampler))  # e.g. [2, 0, 7, 4]
    """

    def __init__(
        self,
        num_labelled: int,
        num_unlabelled: int,
        labelled_batch_size: int,
        unlabelled_batch_size: int,
        num_batches: int | None = None,
        seed: int = 0,
        num_replicas: int = 1,
        rank: int = 0,
    ) -> None:
        if num_labelled < 1:
            raise ValueError("the labelled data set must have at least one item, got none.")
        for name, size in (
            ("labelled_batch_size", labelled_batch_size),
            ("unlabelled_batch_size", unlabelled_batch_size),
        ):
            if size < 1:
                raise ValueError(f"{name} must be at least 1, got {size}.")
        needed = unlabelled_batch_size * num_replicas
        if num_unlabelled < needed:
            raise ValueError(
                f"the unlabelled data set has {num_unlabelled} items, but a batch needs {needed} "
                f"(unlabelled_batch_size {unlabelled_batch_size} x {num_replicas} processes): give more unlabelled "
                "items or a smaller batch."
            )
        if num_batches is not None and num_batches < 1:
            raise ValueError(f"num_batches must be at least 1, got {num_batches}.")
        if not 0 <= rank < num_replicas:
            raise ValueError(f"rank must be in 0 .. {num_replicas - 1}, got {rank}.")
        self.num_labelled = num_labelled
        self.num_unlabelled = num_unlabelled
        self.labelled_batch_size = labelled_batch_size
        self.unlabelled_batch_size = unlabelled_batch_size
        self.num_batches = num_batches or num_unlabelled // needed
        self.seed = seed
        self.num_replicas = num_replicas
        self.rank = rank
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose which epoch the next iteration yields, counted from 0."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.num_batches

    def __iter__(self) -> Iterator[list[int]]:
        labelled = self._stream(self.num_labelled, self.labelled_batch_size, offset=0, stream=0)
        unlabelled = self._stream(self.num_unlabelled, self.unlabelled_batch_size, offset=self.num_labelled, stream=1)
        for labelled_part, unlabelled_part in zip(labelled, unlabelled, strict=True):
            yield labelled_part + unlabelled_part

    def _stream(self, items: int, batch_size: int, offset: int, stream: int) -> Iterator[list[int]]:
        """This rank's part of every batch of the epoch, from the endless sequence of permutations."""
        global_size = batch_size * self.num_replicas
        start = self.epoch * self.num_batches * global_size
        permutations: dict[int, list[int]] = {}
        for batch in range(self.num_batches):
            first = start + batch * global_size + self.rank * batch_size
            part = []
            for position in range(first, first + batch_size):
                turn, place = divmod(position, items)
                if turn not in permutations:
                    generator = torch.Generator().manual_seed(_mix(self.seed, stream, turn))
                    permutations[turn] = torch.randperm(items, generator=generator).tolist()
                part.append(offset + permutations[turn][place])
            yield part


def _mix(seed: int, stream: int, turn: int) -> int:
    return (seed * 1_000_003 + stream * 7_919 + turn * 104_729) % (2**63)
