"""Lets an optimiser forget what it knew about single rows of a parameter."""

from __future__ import annotations

from collections.abc import Sequence

import torch

__all__ = ["forget_rows"]


@torch.no_grad()
def forget_rows(
    optimizer: torch.optim.Optimizer, parameter: torch.nn.Parameter, rows: Sequence[int], dim: int = 0
) -> None:
    """
    Set an optimiser's running values (moments, momentum) of some rows to zero, for rows that were filled anew.

    Args:
        optimizer: any of PyTorch's; a parameter that it does not know is left alone.
        parameter: of which the rows are.
        rows: indices.
        dim: axis of the rows.
    """
    if not len(rows):
        return
    index = torch.as_tensor(rows, device=parameter.device)
    for value in optimizer.state.get(parameter, {}).values():
        if torch.is_tensor(value) and value.shape == parameter.shape:
            value.index_fill_(dim, index, 0)
