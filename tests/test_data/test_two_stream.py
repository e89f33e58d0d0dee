from __future__ import annotations

from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.data import Dataset

from monai_proto.data import TwoStreamBatchSampler, TwoStreamDataLoader


@settings(max_examples=60, deadline=None)
@given(
    labelled=st.integers(1, 7),
    unlabelled=st.integers(1, 20),
    sizes=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    replicas=st.integers(1, 3),
    batches=st.integers(1, 9),
    epoch=st.integers(0, 5),
)
def test_every_rank_gets_its_streams(labelled, unlabelled, sizes, replicas, batches, epoch):
    unlabelled = max(unlabelled, sizes[1] * replicas)
    for rank in range(replicas):
        sampler = TwoStreamBatchSampler(labelled, unlabelled, *sizes, batches, 3, replicas, rank)
        sampler.set_epoch(epoch)
        drawn = list(sampler)
        assert drawn == list(sampler)
        assert len(drawn) == len(sampler) == batches
        for batch in drawn:
            assert len(batch) == sum(sizes)
            assert all(0 <= i < labelled for i in batch[: sizes[0]])
            assert all(labelled <= i < labelled + unlabelled for i in batch[sizes[0] :])


def test_items_are_drawn_equally_often_across_epochs_and_ranks():
    counts: Counter[int] = Counter()
    for rank in range(2):
        sampler = TwoStreamBatchSampler(3, 8, 3, 4, num_batches=5, num_replicas=2, rank=rank)
        for epoch in range(4):
            sampler.set_epoch(epoch)
            counts.update(i for batch in sampler for i in batch)
    assert {counts[i] for i in range(3)} == {4 * 5 * 2 * 3 // 3}
    assert {counts[i] for i in range(3, 11)} == {4 * 5 * 2 * 4 // 8}


def test_default_epoch_is_one_pass_over_the_unlabelled():
    sampler = TwoStreamBatchSampler(1, 6, 2, 2)
    assert sorted(i for batch in sampler for i in batch[2:]) == list(range(1, 7))
    assert all(batch[:2] == [0, 0] for batch in sampler)


def test_order_depends_on_seed_and_epoch():
    first, second = (TwoStreamBatchSampler(4, 12, 2, 2, seed=s) for s in (0, 1))
    again = TwoStreamBatchSampler(4, 12, 2, 2, seed=0)
    assert list(first) == list(again) != list(second)
    again.set_epoch(1)
    assert list(first) != list(again)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 4, 2, 2), "labelled data set must have at least one item"),
        ((2, 1, 2, 2), "unlabelled data set has 1 items, but a batch needs 2"),
        ((2, 3, 2, 2, None, 0, 2, 0), "a batch needs 4"),
        ((2, 4, 0, 2), "labelled_batch_size must be at least 1"),
        ((2, 4, 2, 2, 0), "num_batches must be at least 1"),
        ((2, 4, 2, 2, None, 0, 2, 2), "rank must be in"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        TwoStreamBatchSampler(*arguments)


@pytest.mark.parametrize("workers", [0, 1])
def test_loader_keeps_the_streams_apart(workers):
    labelled = Dataset([{"image": torch.full((1, 2), float(i)), "label": torch.zeros(1, 2)} for i in range(3)])
    unlabelled = Dataset([{"image": torch.full((1, 2), 100.0 + i)} for i in range(5)])
    loader = TwoStreamDataLoader(labelled, unlabelled, 2, 1, num_workers=workers)
    batches = list(loader)
    assert len(batches) == len(loader) == 5
    for batch in batches:
        assert batch["labelled"]["image"].shape == (2, 1, 2)
        assert batch["labelled"]["image"].max() < 100
        assert batch["unlabelled"]["image"].min() >= 100
        assert "label" not in batch["unlabelled"]
