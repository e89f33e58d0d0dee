"""What the steps of all trainers have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import torch
from monai.data import MetaTensor
from monai.engines import Trainer

__all__ = ["autocast_of", "optimizer_step", "plain_tensors"]


class _Optimising(Protocol):
    """A ``monai.engines.Trainer`` with an optimiser."""

    scaler: Any
    optimizer: torch.optim.Optimizer


def optimizer_step(trainer: _Optimising, loss: torch.Tensor) -> None:
    """
    The backward pass and the optimiser's step, scaled where the trainer has a gradient scaler.

    Args:
        trainer: its ``optimizer`` and ``scaler`` are used.
        loss: scalar.
    """
    if trainer.scaler is None:
        loss.backward()
        trainer.optimizer.step()
    else:
        trainer.scaler.scale(loss).backward()
        trainer.scaler.step(trainer.optimizer)
        trainer.scaler.update()


def autocast_of(trainer: Trainer, wanted: bool = True) -> torch.autocast:
    """The trainer's mixed precision, as its ``amp`` and ``amp_kwargs`` say; ``wanted=False`` is full precision."""
    return torch.autocast(trainer.state.device.type, enabled=trainer.amp and wanted, **trainer.amp_kwargs)


def plain_tensors(data: Any) -> Any:
    """``data`` without MONAI's metadata, which costs time in every operation: tensors, also in tuples and mappings."""
    if isinstance(data, Mapping):
        return {key: plain_tensors(value) for key, value in data.items()}
    if isinstance(data, (tuple, list)):
        return tuple(plain_tensors(item) for item in data)
    return data.as_tensor() if isinstance(data, MetaTensor) else data
