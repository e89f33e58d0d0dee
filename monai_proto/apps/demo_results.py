"""Reads back what bundle runs wrote: Dice per case and learning curves."""

from __future__ import annotations

import csv
import re
from pathlib import Path

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


def read_learning_curve(log: Path, metric: str) -> list[tuple[int, float]]:
    """
    Epoch and value of a metric, from the lines that MONAI's ``StatsHandler`` wrote into a log.

    Raises:
        ValueError: when the log has none.
    """
    line = re.compile(rf"Epoch\[(\d+)\] Metrics -- .*?\b{re.escape(metric)}: (\S+)")
    points = [(int(epoch), float(value)) for epoch, value in line.findall(log.read_text(encoding="utf-8"))]
    if not points:
        raise ValueError(f"{log} has no line with the metric {metric}.")
    return points
