"""Reads the prompts that a user gives, and says what is wrong with them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["prompt_entries", "read_prompts"]

_NAMES = ("box", "points", "point_labels")


def read_prompts(file: Path) -> dict[str, Any]:
    """
    A JSON file of prompts, image name -> prompt.

    Raises:
        ValueError: naming the file, when it cannot be read or holds no dictionary.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"prompts {file} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"prompts {file} must be a dictionary from image names to prompts.")
    return content


def prompt_entries(prompt: Mapping[str, Any], source: str) -> dict[str, Any]:
    """
    What an item gets for a prompt in pixels.

    Args:
        prompt: ``box`` ``[x1, y1, x2, y2]``, ``points`` ``[[x, y], ...]``, ``point_labels`` (1 foreground, 0
            background; all foreground without), each None or absent where there is none.
        source: what a message names.

    Returns:
        ``prompt_boxes``, ``prompt_points`` and ``prompt_labels`` as far as they are given.

    Raises:
        ValueError: when one of them has another form.
    """
    box, points, labels = (prompt.get(name) for name in _NAMES)
    entries: dict[str, Any] = {}
    if box is not None:
        if not _numbers(box, 4) or not (box[0] < box[2] and box[1] < box[3]):
            raise ValueError(f"{source}: box must be [x1, y1, x2, y2] with x1 < x2 and y1 < y2, got {box}.")
        entries["prompt_boxes"] = [float(value) for value in box]
    if labels is not None and points is None:
        raise ValueError(f"{source}: point_labels are given without points.")
    if points is not None:
        if not isinstance(points, list | tuple) or not points or not all(_numbers(point, 2) for point in points):
            raise ValueError(f"{source}: points must be [[x, y], ...], got {points}.")
        labels = [1] * len(points) if labels is None else list(labels)
        if len(labels) != len(points) or any(label not in (0, 1) for label in labels):
            raise ValueError(f"{source}: point_labels must be 0 or 1 for each of {len(points)} points, got {labels}.")
        entries |= {"prompt_points": [[float(x), float(y)] for x, y in points], "prompt_labels": labels}
    return entries


def _numbers(values: Any, count: int) -> bool:
    return (
        isinstance(values, list | tuple)
        and len(values) == count
        and all(isinstance(value, int | float) and math.isfinite(value) for value in values)
    )
