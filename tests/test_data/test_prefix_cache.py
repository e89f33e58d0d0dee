from __future__ import annotations

import multiprocessing
import os
import warnings
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.data import MetaTensor
from torch import nn

from monai_proto.data.prefix_cache import PrefixCache
from monai_proto.networks.nets.partial_encoder import FrozenPrefix


class Counted(FrozenPrefix):
    """A prefix that says how many images went through it."""

    def __init__(self, seed=0, channels=4):
        torch.manual_seed(seed)
        super().__init__(nn.Conv2d(3, channels, 3, stride=2), nn.GELU(), nn.BatchNorm2d(channels))
        self.eval()
        self.seen = 0

    def forward(self, images):
        self.seen += len(images)
        return super().forward(images)


def images(count=3, seed=1):
    return torch.rand(count, 3, 9, 9, generator=torch.Generator().manual_seed(seed))


def entries(folder):
    return sorted(Path(folder).glob("*.features"), key=lambda file: file.stat().st_mtime_ns)


def age(folder):
    """Make all entries look older by an hour, in the order they have: clocks of file systems are coarse."""
    for i, file in enumerate(entries(folder)):
        time = file.stat().st_mtime_ns - 3600 * 10**9 + i
        os.utime(file, ns=(time, time))


def test_second_time_comes_from_disk_bit_for_bit(tmp_path):
    prefix = Counted()
    expected = prefix(images())
    cache = PrefixCache(tmp_path / "new" / "cache", prefix)
    first = cache(images())
    assert prefix.seen == 6
    again = PrefixCache(tmp_path / "new" / "cache", prefix)(images())
    assert prefix.seen == 6
    assert torch.equal(first, expected)
    assert torch.equal(again, expected)
    assert not again.requires_grad
    assert (cache.hits, cache.misses) == (0, 3)


@settings(deadline=None, max_examples=20)
@given(seeds=st.lists(st.integers(0, 4), min_size=1, max_size=6))
def test_any_mixture_of_known_and_new_images_is_in_order(tmp_path_factory, seeds):
    prefix = Counted()
    cache = PrefixCache(tmp_path_factory.mktemp("cache"), prefix)
    cache(images(1, seed=0))
    cache(images(1, seed=3))
    batch = torch.cat([images(1, seed) for seed in seeds])
    torch.testing.assert_close(cache(batch), prefix(batch), atol=1e-6, rtol=0)
    assert cache.misses == 2 + sum(seed not in (0, 3) for seed in seeds)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_dtype_is_kept(tmp_path, dtype):
    prefix = Counted().to(dtype)
    cache = PrefixCache(tmp_path, prefix, lambda batch: batch.to(dtype), f"to {dtype}")
    first, again = cache(images()), cache(images())
    assert first.dtype == again.dtype == dtype
    assert torch.equal(first, again)
    assert cache.hits == 3


def test_every_part_of_the_key_counts(tmp_path):
    prefix = Counted()
    cache = PrefixCache(tmp_path, prefix, transform="a")
    cache(images(1))
    changed = images(1)
    changed[0, 0, 0, 0] += 1e-6
    cache(changed)
    assert cache.misses == 2
    cache(images(1).double().float())
    assert cache.hits == 1
    with torch.autocast("cpu", torch.bfloat16):
        cache(images(1))
    assert cache.misses == 3
    for other in (
        PrefixCache(tmp_path, prefix, transform="b"),
        PrefixCache(tmp_path, Counted(seed=1), transform="a"),
        PrefixCache(tmp_path, Counted().append(nn.GELU()), transform="a"),
    ):
        other(images(1))
        assert other.misses == 1
    same = PrefixCache(tmp_path, Counted(), transform="a")
    same(images(1))
    assert same.hits == 1


def test_weights_changed_later_are_noticed(tmp_path):
    prefix = Counted()
    cache = PrefixCache(tmp_path, prefix)
    cache(images())
    prefix.load_state_dict(Counted(seed=1).state_dict())
    assert torch.equal(cache(images()), Counted(seed=1)(images()))
    prefix.load_state_dict(Counted().state_dict())
    cache(images())
    assert (cache.hits, cache.misses) == (3, 6)


def test_preprocessing_runs_for_missing_images_only(tmp_path):
    seen = []

    def halve(batch):
        seen.append(len(batch))
        return batch / 2

    prefix = Counted()
    cache = PrefixCache(tmp_path, prefix, halve, "halve")
    cache(images(2))
    torch.testing.assert_close(cache(images(3)), prefix(images(3) / 2), atol=1e-6, rtol=0)
    assert seen == [2, 3 - cache.hits]


def test_images_with_metadata_and_of_integers(tmp_path):
    prefix = Counted()
    cache = PrefixCache(tmp_path, prefix, lambda batch: batch.float(), "float")
    batch = torch.randint(0, 256, (2, 3, 9, 9), dtype=torch.uint8)
    first = cache(MetaTensor(batch))
    assert type(first) is torch.Tensor
    assert torch.equal(cache(batch), first)
    assert cache.hits == 2


@pytest.mark.parametrize("damage", ["shorter", "empty", "bit", "other entry"])
def test_damaged_entry_is_computed_and_replaced(tmp_path, damage):
    prefix = Counted()
    cache = PrefixCache(tmp_path, prefix)
    expected = cache(images(2))
    file, other = entries(tmp_path)
    content = bytearray(file.read_bytes())
    if damage == "bit":
        content[-200] ^= 1
    file.write_bytes(
        {"shorter": content[:100], "empty": b"", "bit": content, "other entry": other.read_bytes()}[damage]
    )
    with pytest.warns(UserWarning, match="is damaged and is computed again"):
        torch.testing.assert_close(cache(images(2)), expected, atol=1e-6, rtol=0)
    seen = prefix.seen
    torch.testing.assert_close(cache(images(2)), expected, atol=1e-6, rtol=0)
    assert prefix.seen == seen


def test_entries_used_longest_ago_make_room(tmp_path):
    prefix = Counted()
    PrefixCache(tmp_path / "one", prefix)(images(1))
    size = entries(tmp_path / "one")[0].stat().st_size
    folder = tmp_path / "three"
    cache = PrefixCache(folder, prefix, max_bytes=3 * size)
    (folder / "notes.txt").write_text("x" * 10 * size)
    for seed in (0, 1, 2):
        cache(images(1, seed))
        age(folder)
    cache(images(1, 0))  # used again: 1 is now the oldest
    cache(images(1, 3))
    assert len(entries(folder)) == 3
    hits = cache.hits
    for seed in (0, 2, 3):
        cache(images(1, seed))
    assert cache.hits == hits + 3
    cache(images(1, 1))
    assert cache.hits == hits + 3
    assert sum(file.stat().st_size for file in entries(folder)) <= 3 * size
    assert (folder / "notes.txt").exists()


def test_file_left_by_a_killed_process_counts_and_goes_first(tmp_path):
    cache = PrefixCache(tmp_path, Counted(), max_bytes=10_000)
    left = tmp_path / ".abc.0123.partial"
    left.write_bytes(bytes(9_000))
    os.utime(left, (0, 0))
    cache(images(1))
    assert not left.exists()
    assert len(entries(tmp_path)) == 1


def test_bound_smaller_than_an_entry_keeps_nothing_and_says_so(tmp_path):
    cache = PrefixCache(tmp_path, Counted(), max_bytes=100)
    with pytest.warns(UserWarning, match="max_bytes 100 holds no entry of"):
        first = cache(images())
    assert torch.equal(cache(images()), first)
    assert entries(tmp_path) == []


def test_full_disk_does_not_stop_the_training(tmp_path, monkeypatch):
    cache = PrefixCache(tmp_path, Counted())

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.warns(UserWarning, match="cannot be written, so that nothing more is kept: .*No space left"):
        first = cache(images())
    assert torch.equal(cache(images()), first)
    assert list(tmp_path.iterdir()) == []


def use_cache(folder, max_bytes, order, results):
    """What a worker does: many passes over the same images, in its own order, in a folder too small for them."""
    warnings.simplefilter("error")
    torch.set_num_threads(1)
    prefix = Counted()
    cache = PrefixCache(folder, prefix, max_bytes=max_bytes)
    for _ in range(15):
        for seed in order:
            if not torch.equal(cache(images(1, seed)), prefix(images(1, seed))):
                results.put(seed)
    results.put((cache.hits, cache.misses))


def test_several_processes_share_a_folder_that_is_too_small(tmp_path):
    PrefixCache(tmp_path / "one", Counted())(images(1))
    size = entries(tmp_path / "one")[0].stat().st_size
    folder = tmp_path / "shared"
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    orders = ([0, 0, 1, 2, 3], [3, 3, 2, 1, 0], [1, 1, 3, 0, 2])
    workers = [context.Process(target=use_cache, args=(folder, 3 * size, order, results)) for order in orders]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    counts = [results.get() for _ in workers]
    assert results.empty()
    assert all(hits + misses == 15 * 5 and hits > 0 for hits, misses in counts), counts
    assert sum(misses for _, misses in counts) >= 4
    assert sum(file.stat().st_size for file in folder.iterdir()) <= (3 + len(workers)) * size
    assert not list(folder.glob(".*"))


def test_empty_prefix_passes_images_on(tmp_path):
    batch = images()
    assert torch.equal(PrefixCache(tmp_path, FrozenPrefix())(batch), batch)
    assert entries(tmp_path) == []


def test_bad_settings(tmp_path):
    with pytest.raises(ValueError, match="transform must name what preprocess does"):
        PrefixCache(tmp_path, Counted(), torch.neg)
    with pytest.raises(ValueError, match="max_bytes must be positive, got 0"):
        PrefixCache(tmp_path, Counted(), max_bytes=0)
