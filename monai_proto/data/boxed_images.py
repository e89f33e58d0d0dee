"""Images with a small and a big box per object, for training: from a data list of boxes, or of images with masks."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from monai_proto.data.box_datalist import BOX_PARTS, BOX_TASK, read_box_datalist
from monai_proto.data.classification_datalist import load_classification_datalist
from monai_proto.data.datalist import DATALIST_NAME
from monai_proto.data.subject_split import draw_subjects, split_subjects
from monai_proto.transforms.boxes_from_mask import boxes_from_mask

__all__ = ["load_boxed_images"]


def load_boxed_images(
    dataset_dir: str | os.PathLike,
    num_training: int | None = None,
    validation_fraction: float = 0.1,
    seed: int = 0,
    jitter: float = 0.05,
) -> dict[str, list[dict[str, Any]]]:
    """
    The items of a data set by part.

    A list that ``data_scripts/prepare_boxes.py`` wrote is taken as it is. Of a list of images with masks but without
    boxes, such as that of the phantoms, boxes are made from the masks (:func:`boxes_from_mask`, the largest object of
    each); images without a mask are an error.

    Args:
        dataset_dir: folder with a ``dataset.json``, or the JSON file itself.
        num_training: the first so many training images in a random order of subjects; None for all.
        validation_fraction: share of the training subjects that is put aside where the list has no validation part.
        seed: of the draws, and of the boxes that are made.
        jitter: of the boxes that are made.

    Returns:
        ``training``, ``validation`` and ``test``: items with ``image``, ``small_box``, ``big_box``, ``image_id``,
        ``patient_id`` and, where there is one, ``mask``; of slices also ``axis``, ``slice`` and ``label_values``.
        Validation items have a mask: the score needs one. Training items have all one, or none.

    Raises:
        ValueError: when the list is missing or of another kind, an image has neither boxes nor mask, there are fewer
            training images than asked for, or validation lacks masks.
    """
    file = Path(os.path.abspath(dataset_dir))
    file = file / DATALIST_NAME if file.is_dir() else file
    if _task(file) == BOX_TASK:
        content = read_box_datalist(file)
        parts = {part: content[part] for part in BOX_PARTS}
    else:
        listed = load_classification_datalist(file)
        parts = {part: [_boxed(item, file, seed, jitter) for item in items] for part, items in listed.items()}
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


def _task(file: Path) -> Any:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError):
        return BOX_TASK  # its reader says what is wrong
    return content.get("task") if isinstance(content, dict) else BOX_TASK


def _boxed(item: Mapping[str, Any], file: Path, seed: int, jitter: float) -> dict[str, Any]:
    if not item.get("mask"):
        raise ValueError(
            f"Data list {file}: {item['image']} has neither boxes nor a mask to make them from; "
            "data_scripts/prepare_boxes.py reads boxes from CSV or COCO."
        )
    with Image.open(item["mask"]) as picture:
        mask = np.asarray(picture.convert("L")) > 127
    state = np.random.RandomState(random.Random(f"{seed}/{item['image_id']}").randrange(2**31))
    try:
        small, big = boxes_from_mask(mask, jitter=jitter, components="largest", random_state=state)
    except ValueError as error:
        raise ValueError(f"Data list {file}, {item['mask']}: {error}") from error
    return {
        "image": item["image"],
        "mask": item["mask"],
        "small_box": small.tolist(),
        "big_box": big.tolist(),
        "image_id": item["image_id"],
        "patient_id": item["lesion_id"],
    }


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
