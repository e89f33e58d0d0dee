"""Writes a file or a folder whole or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

__all__ = ["new_file_atomically", "new_folder_atomically", "require_new_folder", "write_text_atomically"]


@contextmanager
def new_file_atomically(file: str | os.PathLike) -> Iterator[BinaryIO]:
    """
    A binary stream to a file beside ``file``, which is renamed into place when the ``with`` block ends, so that a
    reader sees the old file or the new one; it is removed when the block ends with an exception.

    Args:
        file: file to write or replace; its folder must exist.
    """
    file = Path(file)
    partial = _partial_name(file)
    try:
        with open(partial, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(partial, file)
    finally:
        partial.unlink(missing_ok=True)


def write_text_atomically(file: str | os.PathLike, text: str) -> None:
    """
    Args:
        file: file to write or replace, see :func:`new_file_atomically`.
        text: what it holds, in UTF-8; line ends are written as they are.
    """
    with new_file_atomically(file) as stream:
        stream.write(text.encode("utf-8"))


@contextmanager
def new_folder_atomically(folder: str | os.PathLike) -> Iterator[Path]:
    """
    A folder to fill, which gets its name when the ``with`` block ends, and is removed when it ends with an exception.

    Args:
        folder: name of the finished folder; missing parents are made.

    Raises:
        ValueError: when ``folder`` exists and is not an empty folder.
    """
    folder = Path(folder)
    require_new_folder(folder)
    partial = _partial_name(folder)
    partial.mkdir(parents=True)
    try:
        yield partial
        if folder.exists():
            folder.rmdir()
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def require_new_folder(folder: str | os.PathLike) -> None:
    """
    Raises:
        ValueError: when ``folder`` exists and is not an empty folder.
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"Output {folder} exists and is not an empty folder: name a new one.")


def _partial_name(path: Path) -> Path:
    """Beside the target, so that renaming stays on one file system. Not from tempfile: its files are private."""
    path = path.absolute()
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
