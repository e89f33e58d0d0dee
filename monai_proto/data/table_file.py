"""Reads tables that people and other programs wrote (CSV, TSV): whatever is wrong with one names the file."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

__all__ = ["Table", "TableRow", "read_table", "read_table_columns"]

_DELIMITERS = ("\t", ";", ",")


@dataclass(frozen=True)
class TableRow:
    """
    Args:
        line: of the file, from 1; the last one of a row that takes several.
        cells: by column; empty where the row is short.
    """

    line: int
    cells: dict[str, str]

    def __getitem__(self, column: str) -> str:
        return self.cells[column]


@dataclass(frozen=True)
class Table:
    """
    A table that was read.

    Args:
        file: where it lies.
        name: what an error calls it: what it is, and its path.
        columns: names of its columns in their order.
        rows: its rows; lines without a character do not count.
    """

    file: Path
    name: str
    columns: tuple[str, ...]
    rows: list[TableRow]

    def find(self, *alternatives: str) -> str | None:
        """
        The first of ``alternatives`` that is a column; None when none is.

        Raises:
            ValueError: when that column is there twice.
        """
        column = next((name for name in alternatives if name in self.columns), None)
        if column is not None and self.columns.count(column) > 1:
            raise ValueError(f"{self.name} has the column {column} {self.columns.count(column)} times.")
        return column

    def error(self, row: TableRow, message: str) -> ValueError:
        """An error about a row."""
        return ValueError(f"{self.name}, line {row.line}: {message}")


def read_table(file: str | os.PathLike, what: str = "Table", strip: bool = True) -> Table:
    """
    Read a table with a header line: UTF-8, with or without a byte order mark, which spreadsheets put before the first
    column's name; columns separated by commas, semicolons or tabs, whichever the header has most of.

    Args:
        file: the table.
        what: what an error calls it, for instance ``"Subjects file"``.
        strip: whether blanks around a cell do not belong to it.

    Raises:
        ValueError: naming the file, when it does not exist, is no UTF-8 text, or has a field of more than 131,072
            characters (a quote that is never closed).
    """
    file = Path(file)
    rows: list[TableRow] = []
    with _open(file, what) as stream:
        reader = csv.reader(stream, delimiter=_delimiter(stream))
        try:
            columns = tuple(name.strip() for name in next(reader, []))
            for values in filter(None, reader):
                texts = [text.strip() if strip else text for text in values] + [""] * (len(columns) - len(values))
                cells = {name: text for name, text in zip(columns, texts, strict=False) if name}
                rows.append(TableRow(reader.line_num, cells))
        except (UnicodeDecodeError, csv.Error) as error:
            raise ValueError(f"{what} {file}, after line {reader.line_num}: {error}.") from error
    return Table(file, f"{what} {file}", columns, rows)


def read_table_columns(file: str | os.PathLike, what: str = "Table") -> tuple[str, ...]:
    """Names of a table's columns, without reading its rows; raises as :func:`read_table` does."""
    with _open(Path(file), what) as stream:
        try:
            return tuple(name.strip() for name in next(csv.reader(stream, delimiter=_delimiter(stream)), []))
        except (UnicodeDecodeError, csv.Error) as error:
            raise ValueError(f"{what} {file}, line 1: {error}.") from error


@contextmanager
def _open(file: Path, what: str) -> Iterator[TextIO]:
    if not file.is_file():
        raise ValueError(f"{what} {file} does not exist.")
    with open(file, encoding="utf-8-sig", newline="") as stream:
        yield stream


def _delimiter(stream: TextIO) -> str:
    try:
        header = stream.readline()
    except UnicodeDecodeError:
        return ","  # the reader comes upon it again, and says where
    finally:
        stream.seek(0)
    return max(_DELIMITERS, key=lambda one: (header.count(one), one == ","))
