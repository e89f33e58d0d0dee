from __future__ import annotations

import random

import numpy as np
import torch
from ignite.engine import Engine
from monai.data import DataLoader, Dataset
from monai.transforms import RandShiftIntensity
from torch.utils.data import DistributedSampler

from monai_proto.handlers import EpochSeedHandler


def draws(seed: int, epochs: int = 2, rank: int = 0) -> list[tuple[float, ...]]:
    """What Python, NumPy, PyTorch and a transform draw in each epoch of a run."""
    transform = RandShiftIntensity(1.0, prob=1.0)
    dataset = Dataset([torch.zeros(1, 2)], transform)
    loader = DataLoader(dataset, sampler=DistributedSampler(dataset, num_replicas=1, rank=0))
    drawn = []
    epochs_told = []

    def step(engine, batch):
        numpy_draw = float(np.random.rand())  # noqa: NPY002 (the state that older code draws from)
        drawn.append((random.random(), numpy_draw, float(torch.rand(())), float(transform.R.rand())))
        epochs_told.append(loader.sampler.epoch)

    engine = Engine(step)
    EpochSeedHandler(seed, loader, rank=rank).attach(engine)
    engine.run([0], max_epochs=epochs)
    assert epochs_told == list(range(epochs))
    return drawn


def test_every_seed_epoch_and_rank_draws_its_own_numbers():
    """Python's hash of -1 is that of -2, and a sum of seed and epoch would repeat the next seed's numbers."""
    runs = [draws(seed, rank=rank) for seed in (-3, -2, -1, 0, 1, 2) for rank in (0, 1)]
    for source in zip(*(epoch for run in runs for epoch in run), strict=True):
        assert len(set(source)) == len(source)


def test_a_run_can_be_repeated_whatever_the_state_before():
    first = draws(-1)
    torch.rand(3)
    random.random()
    assert draws(-1) == first


def test_numbers_of_other_seeds_stay():
    """Checkpoints of earlier versions resume exactly."""
    generator = torch.Generator().manual_seed(hash((7, 1, 2)) % 2**31)
    assert draws(7, rank=2)[1][2] == float(torch.rand((), generator=generator))
