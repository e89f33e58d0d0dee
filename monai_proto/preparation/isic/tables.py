"""Reads the tables that dermoscopy data sets come with: HAM10000 metadata, ISIC ground truth, lesion groupings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from monai_proto.data.picture_files import picture_name
from monai_proto.data.table_file import read_table, read_table_columns
from monai_proto.preparation.split_words import split_part

__all__ = ["IsicRow", "IsicTable", "read_isic_table", "table_kind"]

TableKind = Literal["ham10000", "isic", "lesions"]
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
        columns = set(read_table_columns(file))
    except ValueError:
        return None
    if {"image_id", "dx"} <= columns:
        return "ham10000"
    if "image" in columns and len(columns & _ISIC_CLASSES) >= 2:
        return "isic"
    if "lesion_id" in columns and columns & {"image", "image_id"}:
        return "lesions"
    return None


def read_isic_table(file: Path) -> IsicTable:
    """
    Read a table, see :func:`monai_proto.data.table_file.read_table`.

    Raises:
        ValueError: when the file does not exist, is no known kind of table or no UTF-8 text, has a row without an
            image id, or a split that is none of train, validation and test.
    """
    table = read_table(file)
    kind = table_kind(file)
    if kind is None:
        raise ValueError(
            f"{table.name} is of no known kind: expected the columns image_id and dx (HAM10000), image and one column "
            "for each class (ISIC ground truth), or image and lesion_id (lesion groupings)."
        )
    classes = tuple(name for name in table.columns if _is_class_column(name)) if kind == "isic" else ()
    rows = []
    for row in table.rows:
        cells = row.cells
        image = picture_name(cells.get("image_id") or cells.get("image") or "")
        if not image:
            raise table.error(row, "the image id is empty.")
        label, problem = cells.get("dx") or None, None
        if kind == "isic":
            label, problem = _marked_class(cells, classes)
        try:
            part = split_part(cells["split"]) if cells.get("split") else None
        except ValueError as error:
            raise table.error(row, str(error)) from error
        rows.append(IsicRow(image, label, cells.get("lesion_id") or None, part, problem))
    return IsicTable(file, kind, rows, classes)


def _is_class_column(name: str) -> bool:
    """ISIC 2019 gives weights of the score beside the classes."""
    return bool(name) and name not in ("image", "lesion_id", "split") and not name.endswith("_weight")


def _marked_class(cells: dict[str, str], classes: Sequence[str]) -> tuple[str | None, str | None]:
    """The class of a one-hot row, and what is wrong with the row where it marks not exactly one."""
    marked = [name for name in classes if cells[name] not in ("", "0", "0.0")]
    if len(marked) == 1 and cells[marked[0]] in ("1", "1.0"):
        return marked[0], None
    values = ", ".join(f"{name}={cells[name]}" for name in marked)
    return None, f"the ground truth must mark one class with 1, got {values or 'none'}"
