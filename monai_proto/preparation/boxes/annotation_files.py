"""Boxes that annotators drew, from a table (one row an object) or a COCO file (two annotations an object)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monai_proto.data.boxes.annotation import BoxAnnotation, mark_repeated_cases
from monai_proto.data.boxes.checks import box_problems
from monai_proto.data.json_file import read_json
from monai_proto.data.picture_files import PictureFolder
from monai_proto.data.table_file import read_table

__all__ = ["BOX_COLUMNS", "read_box_coco", "read_box_csv"]

BOX_COLUMNS = tuple(f"{box}_{corner}" for box in ("small", "big") for corner in ("x1", "y1", "x2", "y2"))
_Box = tuple[str, list[float], str]  # object, corners, where it stands
_Pair = tuple[str, list[float], list[float], str]  # object, small, big, where it stands
_ID = {"type": ["string", "number", "null"]}
_SCHEMA = {
    "type": "object",
    "required": ["images", "annotations"],
    "properties": {
        "images": {"type": "array", "items": {"type": "object", "properties": {"id": _ID}}},
        "annotations": {
            "type": "array",
            "items": {"type": "object", "properties": {"image_id": _ID, "category_id": _ID}},
        },
        "categories": {"type": ["array", "null"], "items": {"type": "object", "properties": {"id": _ID}}},
    },
}


def read_box_csv(
    file: str | os.PathLike, images: PictureFolder, inclusive_corners: bool = False
) -> list[BoxAnnotation]:
    """
    Read a CSV with the columns image, small_x1, small_y1, small_x2, small_y2, big_x1, big_y1, big_x2, big_y2 and, where
    an image shows several objects, object.

    Args:
        file: the table.
        images: where its images lie; they are named by path or file name, with or without suffix.
        inclusive_corners: whether x2 and y2 are the last pixel of the box and not its edge: 1 is added to them.

    Returns:
        one annotation a row, with problems where the image is missing, a number is none, or an object comes twice.

    Raises:
        ValueError: when the file does not exist, is no table, lacks a column or has no row.
    """
    table = read_table(file, "Boxes file")
    missing = [column for column in ("image", *BOX_COLUMNS) if table.find(column) is None]
    if missing:
        raise ValueError(f"{table.name} lacks the columns {', '.join(missing)}: it has {list(table.columns)}.")
    if not table.rows:
        raise ValueError(f"{table.name} has no row.")
    annotations = [
        _annotation(row.cells, f"{table.file.name} line {row.line}", images, inclusive_corners) for row in table.rows
    ]
    mark_repeated_cases(annotations)
    return annotations


def read_box_coco(file: str | os.PathLike, images: PictureFolder) -> list[BoxAnnotation]:
    """
    Read a COCO file whose annotations are boxes ``[x, y, width, height]``.

    Which box an annotation is, small or big, is the name of its category, else its attribute ``box`` (as labelling
    tools write it, in ``attributes`` or in the annotation itself). Which object it belongs to is its attribute
    ``object``; without it, an image's only pair belongs together, and of several each small box belongs to the only big
    one that it lies in.

    Args:
        file: the COCO file.
        images: where its images lie, named by ``file_name``.

    Returns:
        one annotation an object, with problems where the image is missing or boxes cannot be paired; images without an
        annotation come as one with a problem.

    Raises:
        ValueError: when the file does not exist, is not JSON, or lacks the lists ``images`` or ``annotations``.
    """
    content = read_json(file, "COCO file", _SCHEMA)
    categories = {category.get("id"): str(category.get("name")) for category in content.get("categories") or []}
    entries: dict[Any, list[dict[str, Any]]] = {image.get("id"): [] for image in content["images"]}
    annotations = []
    for entry in content["annotations"]:
        if entry.get("image_id") in entries:
            entries[entry["image_id"]].append(entry)
            continue
        name = f"annotation {entry.get('id')}"
        problem = f"{name}: image_id {entry.get('image_id')} is not among the images of {Path(file).name}"
        annotations.append(BoxAnnotation(name, None, name, problems=[problem]))
    for image in content["images"]:
        annotations += _objects_of_image(image, entries[image.get("id")], categories, images)
    mark_repeated_cases(annotations)
    return annotations


def _annotation(row: dict[str, str], source: str, images: PictureFolder, inclusive_corners: bool) -> BoxAnnotation:
    name, object_name = row["image"], row.get("object", "")
    image, problem = images.find(name)
    case = images.case_of(image) if image else name or source
    image_id = image.stem if image else case
    annotation = BoxAnnotation(f"{case}/{object_name}" if object_name else case, image, image_id, source=source)
    if problem:
        annotation.problems.append(f"{source}: {problem}" if name else f"{source}: image is empty")
    try:
        numbers = [float(row[column]) for column in BOX_COLUMNS]
    except ValueError:
        cells = [row[column] for column in BOX_COLUMNS]
        annotation.problems.append(f"{source}: boxes must be eight numbers, got {cells}")
        return annotation
    past = 1.0 if inclusive_corners else 0.0
    corners = [value + past * (index % 4 >= 2) for index, value in enumerate(numbers)]
    annotation.small_box, annotation.big_box = corners[:4], corners[4:]
    return annotation


def _objects_of_image(
    image: Mapping[str, Any], entries: list[dict[str, Any]], categories: Mapping[Any, str], images: PictureFolder
) -> list[BoxAnnotation]:
    name = str(image.get("file_name") or "")
    found, problem = images.find(name)
    case = images.case_of(found) if found else name or f"image {image.get('id')}"
    image_id = found.stem if found else case
    height, width = image.get("height"), image.get("width")
    declared_size = (height, width) if isinstance(height, int) and isinstance(width, int) else None
    problems = [problem] if problem else []
    boxes: dict[str, list[_Box]] = {"small": [], "big": []}
    for entry in entries:
        kind, box, source = _kind(entry, categories), _corners(entry.get("bbox")), f"annotation {entry.get('id')}"
        if kind is None:
            problems.append(f"{source} is neither small nor big: category {categories.get(entry.get('category_id'))}")
        elif box is None:
            problems.append(f"{source}: bbox must be four numbers x, y, width, height, got {entry.get('bbox')}")
        else:
            boxes[kind].append((str(_attribute(entry, "object") or ""), box, source))
    if not entries:
        problems.append("image without a box")
    pairs, pairing_problem = ([], "") if problems else _pairs(boxes["small"], boxes["big"])
    problems += [pairing_problem] if pairing_problem else []
    if problems:
        return [BoxAnnotation(case, found, image_id, problems=problems)]
    return [
        BoxAnnotation(
            f"{case}/{name}" if name else case,
            found,
            image_id,
            small,
            big,
            source=source,
            declared_size=declared_size,
        )
        for name, small, big, source in pairs
    ]


def _attribute(entry: Mapping[str, Any], name: str) -> Any:
    attributes = entry.get("attributes")
    return attributes[name] if isinstance(attributes, dict) and name in attributes else entry.get(name)


def _kind(entry: Mapping[str, Any], categories: Mapping[Any, str]) -> str | None:
    for word in (categories.get(entry.get("category_id")), _attribute(entry, "box")):
        kind = str(word).strip().lower().removesuffix(" box").removesuffix("_box")
        if kind in ("small", "big"):
            return kind
    return None


def _corners(bbox: Any) -> list[float] | None:
    try:
        x, y, width, height = (float(value) for value in bbox)
    except (TypeError, ValueError):
        return None
    return [x, y, x + width, y + height]


def _pairs(small: list[_Box], big: list[_Box]) -> tuple[list[_Pair], str]:
    """Small and big boxes that belong together, as (object, small, big, source), or why that cannot be said."""
    if not small or len(small) != len(big):
        return [], f"an object has one small and one big box, got {len(small)} small and {len(big)} big"
    if len(small) == 1:
        (name, box, source), (big_name, around, _) = small[0], big[0]
        if name and big_name and name != big_name:
            return [], f"small box of object {name}, but big box of object {big_name}"
        return [(name or big_name, box, around, source)], ""
    pairs: list[_Pair] = []
    for name, box, source in small:
        fitting = [other for other in big if (other[0] == name if name else not box_problems(box, other[1]))]
        if len(fitting) != 1:
            whose = f"object {name}" if name else source
            fit = f"fits {len(fitting)} big boxes, expected one"
            return [], f"small box of {whose} {fit}: give both an attribute object"
        pairs.append((name or str(len(pairs) + 1), box, fitting[0][1], source))
    if len({tuple(outer) for _, _, outer, _ in pairs}) != len(big):
        return [], "two small boxes fit the same big box: give each an attribute object"
    return pairs, ""
