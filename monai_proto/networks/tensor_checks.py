"""Checks of tensors that blocks and losses share: shapes at once, values without waiting for an accelerator."""

from __future__ import annotations

from collections.abc import Callable

import torch

__all__ = ["require_class_labels", "require_finite", "require_rows"]


def require_rows(features: torch.Tensor, feature_dim: int, name: str) -> None:
    """
    Raises:
        ValueError: when ``features`` is not floating point of shape (N, ``feature_dim``).
    """
    if features.ndim != 2 or features.shape[1] != feature_dim:
        raise ValueError(f"{name} must have shape (N, {feature_dim}), got {tuple(features.shape)}.")
    if not features.is_floating_point():
        raise ValueError(f"{name} must be floating point, got {features.dtype}.")


def require_class_labels(
    labels: torch.Tensor, num_classes: int, ignore_index: int | None, rows: int, name: str
) -> None:
    """
    Raises:
        ValueError: when ``labels`` is not integer of shape (``rows``,), or holds a value that is neither in
            0 .. ``num_classes`` - 1 nor ``ignore_index`` (None: there is no such label).
    """
    if labels.shape != (rows,):
        raise ValueError(f"{name} must have shape ({rows},), one for each row, got {tuple(labels.shape)}.")
    if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        raise ValueError(f"{name} must be integers, got {labels.dtype}.")
    if rows == 0:
        return
    # two reductions over N integers; an ignored label may lie on either side of the range
    in_range = labels if ignore_index is None else torch.where(labels == ignore_index, 0, labels)
    allowed = f"0 .. {num_classes - 1}" + ("" if ignore_index is None else f" or the ignored label {ignore_index}")
    lowest, highest = torch.aminmax(in_range)
    _require(
        (lowest >= 0) & (highest < num_classes),
        lambda: f"{name} must be in {allowed}, got values from {int(lowest)} to {int(highest)}.",
        f"{name} must be in {allowed}.",
    )


def require_finite(values: torch.Tensor, name: str) -> None:
    """
    Raises:
        ValueError: when ``values`` holds NaN or infinity.
    """
    values = values.detach()
    # one pass without a temporary: the sum is finite only if all are (finite values that overflow it: looked at below)
    finite = torch.isfinite(values.sum(dtype=torch.float32))
    if values.device.type == "cpu" and not finite:
        bad = int((~torch.isfinite(values)).sum())
        if bad:
            raise ValueError(f"{name} must be finite, but {bad} of its {values.numel()} values are NaN or infinite.")
    elif values.device.type != "cpu":
        torch._assert_async(finite, f"{name} must be finite.")


def _require(condition: torch.Tensor, describe: Callable[[], str], message: str) -> None:
    """Raise at once on the CPU; on an accelerator assert there, so that the host need not wait for the answer."""
    if condition.device.type == "cpu":
        if not condition:
            raise ValueError(describe())
    else:
        torch._assert_async(condition, message)
