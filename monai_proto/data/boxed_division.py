"""Divides objects with boxes into training and validation, the same for pictures and for slices of volumes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from monai_proto.data.box_datalist import BOX_TASK
from monai_proto.data.subject_split import draw_subjects, split_subjects

__all__ = ["datalist_task", "divide_boxed_items"]


def datalist_task(file: Path) -> Any:
    """What a data list says it is for; ``BOX_TASK`` where it cannot be read, since that list's reader says why."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError):
        return BOX_TASK
    return content.get("task") if isinstance(content, dict) else BOX_TASK


def divide_boxed_items(
    parts: dict[str, list[dict[str, Any]]],
    file: Path,
    num_training: int | None = None,
    validation_fraction: float = 0.1,
    seed: int = 0,
) -> dict[str, list[dict[str, Any]]]:
    """
    Args:
        parts: ``training``, ``validation`` and ``test``: items with ``image``, ``patient_id`` and, where there is one,
            ``mask``.
        file: the data list, for messages.
        num_training: the first so many training items in a random order of subjects; None for all.
        validation_fraction: share of the training subjects that is put aside where there is no validation part.
        seed: of the draws.

    Returns:
        the same parts; items of validation have a mask, items of training have all one, or none.

    Raises:
        ValueError: when validation is empty or lacks masks, or there are fewer training items than asked for.
    """
    if not parts["validation"]:
        parts = _with_validation(parts, validation_fraction, seed)
    without = [item["image"] for item in parts["validation"] if not item.get("mask")]
    if without or not parts["validation"]:
        named = f"{len(without)} have none, such as {without[0]}" if without else "the part is empty"
        raise ValueError(
            f"Data list {file}: items of validation must name their mask, to score the model; {named}. Prepare the "
            "list with masks of a few subjects (prepare_boxes.py --training-masks, or a validation part)."
        )
    training = _first(parts["training"], num_training, seed, file)
    if not all(item.get("mask") for item in training):  # a batch has masks to monitor with, or has none
        training = [{key: value for key, value in item.items() if key != "mask"} for item in training]
    return {**parts, "training": training}


def _with_validation(parts: dict[str, list], fraction: float, seed: int) -> dict[str, list]:
    """Of subjects whose images all have a mask."""
    lacking = {item["patient_id"] for item in parts["training"] if not item.get("mask")}
    candidates = {item["patient_id"] for item in parts["training"]} - lacking
    if not candidates:
        return parts
    aside = split_subjects(candidates, {"validation": fraction}, seed)
    return {
        **parts,
        "training": [item for item in parts["training"] if item["patient_id"] not in aside],
        "validation": [item for item in parts["training"] if item["patient_id"] in aside],
    }


def _first(items: list[dict[str, Any]], number: int | None, seed: int, file: Path) -> list[dict[str, Any]]:
    if number is None:
        return items
    if not 1 <= number <= len(items):
        raise ValueError(f"num_training must be in 1 .. {len(items)}, the training images of {file}, got {number}.")
    rank = {subject: place for place, subject in enumerate(draw_subjects((i["patient_id"] for i in items), seed))}
    return sorted(items, key=lambda item: rank[item["patient_id"]])[:number]
