"""Which images to segment, and with which prompts: a box or points."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from monai_proto.data.boxes.images import load_boxed_images
from monai_proto.data.datalist import DATALIST_NAME
from monai_proto.data.json_file import read_json
from monai_proto.data.picture_files import PictureFolder

__all__ = ["list_prompted_images", "prompt_entries", "read_prompts"]

_NAMES = ("box", "points", "point_labels")


def list_prompted_images(
    path: str | os.PathLike,
    box: Sequence[float] | None = None,
    points: Sequence[Sequence[float]] | None = None,
    point_labels: Sequence[int] | None = None,
    prompts: str | os.PathLike | None = None,
) -> list[dict[str, Any]]:
    """
    Images with prompts in their own pixels: a box ``[x1, y1, x2, y2]``, points ``[[x, y], ...]`` with labels (1
    foreground, 0 background), or both. An image without a prompt is segmented as a whole.

    Args:
        path: one image; a folder of pictures; or a folder with a data list of boxes or of images with masks, whose
            ``test`` part (else ``validation``) is taken with its big boxes.
        box: prompt of every image, such as of the one that ``path`` is.
        points: prompt of every image.
        point_labels: of ``points``; all foreground without.
        prompts: JSON file, image name -> ``{"box": ..., "points": ..., "point_labels": ...}``, instead.

    Returns:
        items with ``image``, ``image_id`` and, where given, ``prompt_boxes``, ``prompt_points``, ``prompt_labels``.

    Raises:
        ValueError: when there is no image, a prompt has another form, or a named image is not there.
    """
    path = Path(path)
    given = prompt_entries({"box": box, "points": points, "point_labels": point_labels}, "the arguments")
    if given and prompts is not None:
        raise ValueError("prompts must not be given together with box or points.")
    if path.is_dir() and (path / DATALIST_NAME).is_file():
        parts = load_boxed_images(path)
        items = [
            {
                "image": item["image"],
                "image_id": item["image_id"],
                **({} if given else {"prompt_boxes": item["big_box"]}),
            }
            for item in parts["test"] or parts["validation"]
        ]
    elif path.is_dir():
        folder = PictureFolder(path)
        items = [{"image": str(file), "image_id": folder.case_of(file)} for file in folder.files]
    elif path.is_file():
        items = [{"image": str(path), "image_id": path.stem}]
    else:
        raise ValueError(f"{path} is neither an image nor a folder.")
    named = {} if prompts is None else _named_prompts(Path(prompts))
    unknown = sorted(set(named) - {Path(item["image"]).name for item in items})
    if unknown:
        raise ValueError(f"prompts {prompts} names {len(unknown)} images that are not in {path}, such as {unknown[0]}.")
    return [{**item, **given, **named.get(Path(item["image"]).name, {})} for item in items]


def read_prompts(file: Path) -> dict[str, Any]:
    """
    A JSON file of prompts, image name -> prompt.

    Raises:
        ValueError: naming the file, when it cannot be read or holds no dictionary.
    """
    content: dict[str, Any] = read_json(file, "prompts", {"type": "object"})
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


def _named_prompts(file: Path) -> dict[str, dict[str, Any]]:
    content = read_json(file, "prompts", {"type": "object", "additionalProperties": {"type": "object"}})
    return {name: prompt_entries(prompt, f"{file}, {name}") for name, prompt in content.items()}


def _numbers(values: Any, count: int) -> bool:
    return (
        isinstance(values, list | tuple)
        and len(values) == count
        and all(isinstance(value, int | float) and math.isfinite(value) for value in values)
    )
