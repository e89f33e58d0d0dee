"""Tensors of all processes; ignite's functions also take numbers, strings and objects, and are annotated for them."""

from __future__ import annotations

from typing import cast

import ignite.distributed as idist
import torch

__all__ = ["gathered", "summed"]


def gathered(rows: torch.Tensor) -> torch.Tensor:
    """Rows (N, ...) of every process one after the other, (R * N, ...), in the order of the ranks."""
    return cast("torch.Tensor", idist.all_gather(rows))


def summed(values: torch.Tensor) -> torch.Tensor:
    """The sum of all processes' values, the shape kept."""
    return cast("torch.Tensor", idist.all_reduce(values))
