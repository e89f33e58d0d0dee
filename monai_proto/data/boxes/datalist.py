"""Data lists of boxes: one item an object, with its image and two boxes. Writes, reads and divides them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from monai_proto.data.atomic_write import write_text_atomically
from monai_proto.data.boxes.annotation import BoxAnnotation
from monai_proto.data.boxes.checks import box_problems
from monai_proto.data.datalist import DATALIST_NAME, datalist_file
from monai_proto.data.json_file import read_json
from monai_proto.data.subject_split import draw_subjects, require_disjoint_subjects, split_subjects

__all__ = ["BOX_PARTS", "BOX_TASK", "datalist_task", "divide_boxed_items", "read_box_datalist", "write_box_datalist"]

BOX_TASK = "box_segmentation"
BOX_PARTS = ("training", "validation", "test")
_CONVENTION = (
    "[x1, y1, x2, y2] in pixels of the upright picture, or of the slice as stored with x along its last axis; edges: "
    "pixel column i reaches from i to i + 1, the whole image is [0, 0, width, height]"
)
_ITEMS = {
    "type": "object",
    "required": ["image"],
    "properties": {"image": {"type": "string"}, "mask": {"type": ["string", "null"]}},
}
_SCHEMA = {
    "type": "object",
    "required": ["task", "training"],
    "properties": {
        "task": {"const": BOX_TASK},
        "training": {"type": "array", "items": _ITEMS},
        **{part: {"type": ["array", "null"], "items": _ITEMS} for part in ("validation", "test")},
    },
}


def write_box_datalist(
    folder: str | os.PathLike,
    properties: Mapping[str, Any],
    annotations: Iterable[BoxAnnotation],
    training_masks: bool = True,
    final_folder: str | os.PathLike | None = None,
) -> Path:
    """
    Write ``dataset.json``; the file appears whole or not at all. Paths in it are relative to its folder.

    Args:
        folder: existing folder to write to.
        properties: ``name``, ``licence``, ``boxes`` (how they were made), ...
        annotations: objects without problems, each with its ``split``.
        training_masks: whether items of training name their mask. It serves to monitor, never to train.
        final_folder: where the file will lie, when ``folder`` is to be renamed.

    Returns:
        the file written.

    Raises:
        ValueError: when a subject is in two parts.
    """
    file = Path(folder) / DATALIST_NAME
    parts: dict[str, list[dict[str, Any]]] = {part: [] for part in BOX_PARTS}
    for annotation in annotations:
        with_mask = training_masks or annotation.split != "training"
        parts[annotation.split].append(annotation.as_item(final_folder or folder, with_mask))
    _require_subjects_on_one_side(parts, str(file))
    content = {
        **properties,
        "task": BOX_TASK,
        "boxConvention": _CONVENTION,
        **{f"num{part.capitalize()}": len(items) for part, items in parts.items()},
        **{part: items for part, items in parts.items() if part == "training" or items},
    }
    write_text_atomically(file, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    return file


def read_box_datalist(dataset_dir: str | os.PathLike) -> dict[str, Any]:
    """
    Read a data list of boxes.

    Args:
        dataset_dir: folder with a ``dataset.json``, or the JSON file itself.

    Returns:
        the properties as they are in the file, and ``training``, ``validation`` and ``test`` (empty where the file has
        none) as items with absolute ``image`` and, where there is one, ``mask`` paths, ``small_box``, ``big_box``,
        ``image_id`` and ``patient_id``; of slices ``axis``, ``slice`` and ``label_values`` too.

    Raises:
        ValueError: when the file is missing or no data list of boxes, an item lacks an image or good boxes, a file of
            an item does not exist, or a subject is in two parts.
    """
    file = datalist_file(dataset_dir)
    content = read_json(file, "Data list", _SCHEMA, if_missing="; monai-proto prepare boxes writes one")
    for part in BOX_PARTS:
        content[part] = [_resolved_item(item, part, file) for item in content.get(part) or []]
    _require_subjects_on_one_side({part: content[part] for part in BOX_PARTS}, f"Data list {file}")
    return content


def datalist_task(file: Path) -> Any:
    """What a data list says it is for; ``BOX_TASK`` where it cannot be read, since that list's reader says why."""
    try:
        content = read_json(file)
    except ValueError:
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
            "list with masks of a few subjects (monai-proto prepare boxes --training-masks, or a validation part)."
        )
    training = _first(parts["training"], num_training, seed, file)
    if not all(item.get("mask") for item in training):  # a batch has masks to monitor with, or has none
        training = [{key: value for key, value in item.items() if key != "mask"} for item in training]
    return {**parts, "training": training}


def _resolved_item(item: dict[str, Any], part: str, file: Path) -> dict[str, Any]:
    problems = box_problems(item.get("small_box"), item.get("big_box"))
    if problems:
        raise ValueError(f"Data list {file}, {part}, {item['image']}: {'; '.join(problems)}.")
    paths = {key: os.path.normpath(file.parent / item[key]) for key in ("image", "mask") if item.get(key)}
    for key, path in paths.items():
        if not os.path.isfile(path):
            raise ValueError(f"Data list {file}, {part}: {key} {path} does not exist.")
    image_id = str(item.get("image_id") or Path(item["image"]).stem)
    return {**item, **paths, "image_id": image_id, "patient_id": str(item.get("patient_id") or image_id)}


def _require_subjects_on_one_side(parts: Mapping[str, list[dict[str, Any]]], source: str) -> None:
    pairs = {part: [(item["image_id"], item["patient_id"]) for item in items] for part, items in parts.items()}
    require_disjoint_subjects(pairs, source)


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
