"""Picks the loss components out of a trainer's output, for the handlers that log them."""

from __future__ import annotations

from typing import Any

__all__ = ["loss_components"]


def loss_components(output: Any) -> dict[str, float]:
    """
    ``output_transform`` of MONAI's ``StatsHandler``, ``TensorBoardStatsHandler`` and ``MLFlowHandler``.

    Args:
        output: ``engine.state.output``: a dictionary, or a list of one for each item of the batch (decollated).

    Returns:
        name -> value of every entry whose name starts with ``loss`` or ends with it.
    """
    first = output[0] if isinstance(output, (list, tuple)) else output
    return {name: float(value) for name, value in first.items() if name.startswith("loss") or name.endswith("_loss")}
