"""Images with a small and a big box per object, for training: from a data list of boxes, or of images with masks."""

from __future__ import annotations

import os
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from monai_proto.data.boxes.datalist import BOX_PARTS, BOX_TASK, datalist_task, divide_boxed_items, read_box_datalist
from monai_proto.data.boxes.from_mask import boxes_from_mask
from monai_proto.data.classification_datalist import load_classification_datalist
from monai_proto.data.datalist import datalist_file

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

    A list that ``monai-proto prepare boxes`` wrote is taken as it is. Of a list of images with masks but without
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
    file = datalist_file(dataset_dir)
    if datalist_task(file) == BOX_TASK:
        content = read_box_datalist(file)
        parts = {part: content[part] for part in BOX_PARTS}
    else:
        listed = load_classification_datalist(file)
        parts = {part: [_boxed(item, file, seed, jitter) for item in items] for part, items in listed.items()}
    return divide_boxed_items(parts, file, num_training, validation_fraction, seed)


def _boxed(item: Mapping[str, Any], file: Path, seed: int, jitter: float) -> dict[str, Any]:
    if not item.get("mask"):
        raise ValueError(
            f"Data list {file}: {item['image']} has neither boxes nor a mask to make them from; "
            "monai-proto prepare boxes reads boxes from CSV or COCO."
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
