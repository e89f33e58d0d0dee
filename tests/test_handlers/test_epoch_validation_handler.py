from __future__ import annotations

import pytest
import torch
from ignite.engine import Engine
from monai.data import DataLoader
from monai.engines import SupervisedEvaluator

from monai_proto.handlers import EpochValidationHandler


def validated(interval: int, max_epochs: int, epoch_level: bool = True, steps: int = 3, runs: int = 1) -> list[int]:
    """Epochs, or iterations, of the trainer at which it validates."""
    evaluator = SupervisedEvaluator("cpu", DataLoader([0], batch_size=1), torch.nn.Identity())
    trainer = Engine(lambda *_: None)
    seen: list[int] = []
    evaluator.run = lambda epoch: seen.append(epoch if epoch_level else trainer.state.iteration)
    EpochValidationHandler(interval, evaluator, epoch_level=epoch_level).attach(trainer)
    for run in range(1, runs + 1):
        trainer.run([0] * steps, max_epochs=max_epochs * run)
    return seen


@pytest.mark.parametrize(
    ("interval", "max_epochs", "expected"),
    [(5, 2, [2]), (5, 5, [5]), (2, 5, [2, 4, 5]), (1, 3, [1, 2, 3])],
)
def test_the_last_epoch_is_always_validated_and_none_twice(interval, max_epochs, expected):
    assert validated(interval, max_epochs) == expected


def test_steps_are_counted_where_the_interval_is_one_of_steps():
    assert validated(4, 2, epoch_level=False) == [4, 6]
    assert validated(3, 2, epoch_level=False) == [3, 6]


def test_a_prolonged_run_validates_its_new_end():
    assert validated(5, 3, runs=2) == [3, 5, 6]
