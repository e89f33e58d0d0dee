"""Reads the tables that dermoscopy data sets come with: HAM10000 metadata, ISIC ground truth, lesion groupings."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

__all__ = ["PART_NAMES", "IsicRow", "IsicTable", "read_isic_table", "table_kind"]

TableKind = Literal["ham10000", "isic", "lesions"]
PART_NAMES = {
    **dict.fromkeys(("train", "training"), "training"),
    **dict.fromkeys(("val", "valid", "validation"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
_ISIC_CLASSES = {"MEL", "NV", "BCC", "AKIEC", "AK", "BKL", "DF", "VASC", "SCC", "UNK"}


@dataclass(frozen=True)
class IsicRow:
    """
    What a table says about an image.

    Args:
        image: id of the image.
        label: name of its class; None when the table gives none.
        lesion: id of its lesion; None when the table gives none.
        part: part of a split that it belongs to (training, validation, test); None when the table gives none.
        problem: why the row cannot be used; None for one that can.
    """

    image: str
    label: str | None = None
    lesion: str | None = None
    part: str | None = None
    problem: str | None = None


@dataclass(frozen=True)
class IsicTable:
    """
    A table that was read.

    Args:
        file: where it lies.
        kind: ``"ham10000"`` (image_id, dx), ``"isic"`` (image and a column for each class) or ``"lesions"``
            (image, lesion_id).
        rows: its rows.
        classes: the columns of the classes of ``"isic"``; empty for the others.
    """

    file: Path
    kind: TableKind
    rows: list[IsicRow]
    classes: tuple[str, ...] = ()


def table_kind(file: Path) -> TableKind | None:
    """
    What a table is, by its column names.

    Returns:
        the kind, see :class:`IsicTable`; None for a table of something else, or one that is no UTF-8 text.
    """
    try:
        with open(file, encoding="utf-8-sig", newline="") as stream:
            columns = next(csv.reader(stream, delimiter=_delimiter(file)), [])
    except (UnicodeDecodeError, csv.Error):
        return None
    columns = {column.strip() for column in columns}
    if {"image_id", "dx"} <= columns:
        return "ham10000"
    if "image" in columns and len(columns & _ISIC_CLASSES) >= 2:
        return "isic"
    if "lesion_id" in columns and columns & {"image", "image_id"}:
        return "lesions"
    return None


def read_isic_table(file: Path) -> IsicTable:
    """
    Read a table: comma- or tab-separated, with a header line.

    Raises:
        ValueError: when the file does not exist, is no known kind of table or no UTF-8 text, has a row without an
            image id, or a split that is none of train, validation and test.
    """
    if not file.is_file():
        raise ValueError(f"Table {file} does not exist.")
    kind = table_kind(file)
    if kind is None:
        raise ValueError(
            f"Table {file} is of no known kind: expected the columns image_id and dx (HAM10000), image and one column "
            "for each class (ISIC ground truth), or image and lesion_id (lesion groupings)."
        )
    classes: tuple[str, ...] = ()
    rows = []
    for line, cells in _cells(file):
        image = re.sub(r"\.(jpe?g|png)$", "", cells.get("image_id") or cells.get("image") or "", flags=re.IGNORECASE)
        if not image:
            raise ValueError(f"Table {file}, line {line}: the image id is empty.")
        label, problem = cells.get("dx") or None, None
        if kind == "isic":
            classes = classes or tuple(name for name in cells if _is_class_column(name))
            label, problem = _marked_class(cells, classes)
        part = cells.get("split") or None
        if part and part.lower() not in PART_NAMES:
            raise ValueError(f"Table {file}, line {line}: split must be train, validation or test, got {part}.")
        part = PART_NAMES[part.lower()] if part else None
        rows.append(IsicRow(image, label, cells.get("lesion_id") or None, part, problem))
    return IsicTable(file, kind, rows, classes)


def _cells(file: Path) -> Iterator[tuple[int, dict[str, str]]]:
    # utf-8-sig: spreadsheets put a byte order mark before the first column's name
    with open(file, encoding="utf-8-sig", newline="") as stream:
        reader = csv.DictReader(stream, delimiter=_delimiter(file), restkey="", restval="")
        try:
            for row in reader:
                yield reader.line_num, {name.strip(): value.strip() for name, value in row.items() if name}
        except (UnicodeDecodeError, csv.Error) as error:
            raise ValueError(f"Table {file}, after line {reader.line_num}: {error}.") from error


def _delimiter(file: Path) -> str:
    with open(file, encoding="utf-8-sig", newline="") as stream:
        return "\t" if "\t" in stream.readline() else ","


def _is_class_column(name: str) -> bool:
    """ISIC 2019 gives weights of the score beside the classes."""
    return name not in ("image", "lesion_id", "split") and not name.endswith("_weight")


def _marked_class(cells: dict[str, str], classes: Sequence[str]) -> tuple[str | None, str | None]:
    """The class of a one-hot row, and what is wrong with the row where it marks not exactly one."""
    marked = [name for name in classes if cells[name] not in ("", "0", "0.0")]
    if len(marked) == 1 and cells[marked[0]] in ("1", "1.0"):
        return marked[0], None
    values = ", ".join(f"{name}={cells[name]}" for name in marked)
    return None, f"the ground truth must mark one class with 1, got {values or 'none'}"
