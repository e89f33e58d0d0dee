"""Reads back what bundle runs wrote: Dice per case and learning curves."""

from __future__ import annotations

import csv
from pathlib import Path

from monai.utils import optional_import

__all__ = ["read_case_dice", "read_learning_curve"]


def read_case_dice(path: Path) -> list[list[float]]:
    """
    Dice of each class for each case from the ``*_raw.csv`` of :class:`ClassMetricsSaver`.

    Returns:
        one list per case, classes from 1 on; the file's last column, the mean over classes, is left out.
    """
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    return [[float(value) for value in row[1:-1]] for row in rows[1:]]


def read_learning_curve(log_dir: Path, tag: str) -> list[tuple[int, float]]:
    """Epoch and value of a scalar that ``TensorBoardStatsHandler`` logged under ``log_dir``."""
    accumulator, _ = optional_import("tensorboard.backend.event_processing.event_accumulator", name="EventAccumulator")
    events = accumulator(str(log_dir))
    events.Reload()
    return [(event.step, event.value) for event in events.Scalars(tag)]
