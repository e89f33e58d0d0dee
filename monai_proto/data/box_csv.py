"""Boxes that annotators drew, from a table: one row an object."""

from __future__ import annotations

import csv
import os
from pathlib import Path

from monai_proto.data.box_annotations import BoxAnnotation, mark_repeated_cases
from monai_proto.data.picture_files import PictureFolder

__all__ = ["BOX_COLUMNS", "read_box_csv"]

BOX_COLUMNS = tuple(f"{box}_{corner}" for box in ("small", "big") for corner in ("x1", "y1", "x2", "y2"))


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
        ValueError: when the file does not exist, lacks a column or has no row.
    """
    file = Path(file)
    if not file.is_file():
        raise ValueError(f"Boxes file {file} does not exist.")
    annotations = []
    # utf-8-sig: spreadsheets put a byte order mark before the first column's name
    with open(file, encoding="utf-8-sig", newline="") as stream:
        rows = csv.DictReader(stream)
        missing = [column for column in ("image", *BOX_COLUMNS) if column not in (rows.fieldnames or [])]
        if missing:
            raise ValueError(f"Boxes file {file} lacks the columns {', '.join(missing)}: it has {rows.fieldnames}.")
        for row in rows:
            annotations.append(_annotation(row, f"{file.name} line {rows.line_num}", images, inclusive_corners))
    if not annotations:
        raise ValueError(f"Boxes file {file} has no row.")
    mark_repeated_cases(annotations)
    return annotations


def _annotation(row: dict[str, str], source: str, images: PictureFolder, inclusive_corners: bool) -> BoxAnnotation:
    name, object_name = (row["image"] or "").strip(), (row.get("object") or "").strip()
    image, problem = images.find(name)
    case = images.case_of(image) if image else name or source
    image_id = image.stem if image else case
    annotation = BoxAnnotation(f"{case}/{object_name}" if object_name else case, image, image_id, source=source)
    if problem:
        annotation.problems.append(f"{source}: {problem}" if name else f"{source}: image is empty")
    try:
        numbers = [float(row[column]) for column in BOX_COLUMNS]
    except (TypeError, ValueError):
        cells = [row[column] for column in BOX_COLUMNS]
        annotation.problems.append(f"{source}: boxes must be eight numbers, got {cells}")
        return annotation
    past = 1.0 if inclusive_corners else 0.0
    corners = [value + past * (index % 4 >= 2) for index, value in enumerate(numbers)]
    annotation.small_box, annotation.big_box = corners[:4], corners[4:]
    return annotation
