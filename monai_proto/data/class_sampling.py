"""How often an item is drawn so that rare classes are seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from monai_proto.data.classification_datalist import class_counts

__all__ = ["sampling_weights"]


def sampling_weights(items: Sequence[Mapping[str, Any]], num_classes: int, power: float = 0.5) -> list[float]:
    """
    Weights ``n_c ** -power`` of the items, for PyTorch's ``WeightedRandomSampler`` and MONAI's distributed one.

    Args:
        items: of a data list, with ``label``.
        num_classes: number C of classes.
        power: 0 draws as the data set is, 1 draws every class equally often, 0.5 lies between.

    Raises:
        ValueError: when power is not in 0 .. 1.
    """
    if not 0 <= power <= 1:
        raise ValueError(f"power must be in 0 .. 1, got {power}.")
    counts = class_counts(items, num_classes)
    return [counts[item["label"]] ** -power for item in items]
