"""A data loader whose batches have a labelled and an unlabelled part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from monai.data import DataLoader
from monai.data.utils import list_data_collate
from torch.utils.data import ConcatDataset, Dataset

from monai_proto.data.two_stream_sampler import TwoStreamBatchSampler

__all__ = ["TwoStreamCollate", "TwoStreamDataLoader"]


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
        sampler = TwoStreamBatchSampler(
            len(labelled_dataset),
            len(unlabelled_dataset),
            labelled_batch_size,
            unlabelled_batch_size,
            num_batches=num_batches,
            seed=seed,
            num_replicas=num_replicas,
            rank=rank,
        )
        super().__init__(
            ConcatDataset([labelled_dataset, unlabelled_dataset]),
            num_workers=num_workers,
            batch_sampler=sampler,
            collate_fn=TwoStreamCollate(labelled_batch_size),
            **kwargs,
        )
