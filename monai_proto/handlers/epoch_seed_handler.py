"""Makes every epoch a function of the seed and its number, so that a resumed run equals an uninterrupted one."""

from __future__ import annotations

from typing import Any

from ignite.engine import Engine, Events
from ignite.utils import manual_seed
from monai.data.utils import set_rnd

__all__ = ["EpochSeedHandler"]


class EpochSeedHandler:
    """
    At the start of every epoch seeds Python, NumPy, PyTorch and MONAI's randomizable transforms with a hash of seed,
    epoch and rank, and tells the sampler the epoch. With ``seed + epoch`` the second epoch of one run would be the
    first of the run with the next seed.

    No random state has to be saved then: a checkpoint of the end of an epoch resumes exactly.

    Args:
        seed: seed of the run, modulo 2 ** 32 as MONAI's ``set_determinism`` takes it.
        data_loader: its data set's transforms are seeded, and its (batch) sampler's ``set_epoch`` is called.
        transforms: further objects with randomizable parts, such as the trainer's copy-paste.
        rank: of this process, so that ranks augment differently.
    """

    def __init__(self, seed: int, data_loader: Any, transforms: Any = None, rank: int = 0) -> None:
        self.seed = seed
        self.data_loader = data_loader
        self.transforms = transforms
        self.rank = rank

    def attach(self, engine: Engine) -> None:
        """
        Args:
            engine: the trainer.
        """
        engine.add_event_handler(Events.EPOCH_STARTED, self)

    def __call__(self, engine: Engine) -> None:
        epoch = engine.state.epoch - 1
        # Python's hash of -1 is that of -2
        seed = hash((self.seed % 2**32, epoch, self.rank)) % 2**31
        manual_seed(seed)
        set_rnd([self.data_loader.dataset, self.transforms], seed)
        for sampler in (self.data_loader.batch_sampler, self.data_loader.sampler):
            if hasattr(sampler, "set_epoch"):
                sampler.set_epoch(epoch)
