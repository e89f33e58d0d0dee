"""Where a prepared data set goes: a new folder that appears whole, or the source folder itself, whose files stay."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.progress import track

from monai_proto.data.atomic_write import new_folder_atomically, require_new_folder
from monai_proto.data.datalist import DATALIST_NAME
from monai_proto.data.json_file import read_json

__all__ = ["ORIGINAL_DATALIST_NAME", "PREPARED_BY", "OutputPlace", "Transfer", "transfer_file", "transfer_files"]

ORIGINAL_DATALIST_NAME = "dataset.original.json"
PREPARED_BY = "monai_proto"

Transfer = Literal["copy", "link", "move"]


class OutputPlace:
    """
    The place of a data list, checked before hours of reading and opened after them.

    Args:
        source: folder of the source.
        output: a new folder, or ``source`` itself.
        task: what the data list says it is for; None where it says nothing.
    """

    def __init__(self, source: str | os.PathLike, output: str | os.PathLike, task: str | None = None) -> None:
        self.source, self.output, self.task = Path(source), Path(output), task

    @property
    def in_place(self) -> bool:
        """Whether the output is the source folder itself."""
        return self.output.resolve() == self.source.resolve()

    def require(self) -> None:
        """
        Raises:
            ValueError: when the output is another folder than the source and not empty, or the original of
                ``dataset.json`` would replace an earlier one.
        """
        original = self.source / ORIGINAL_DATALIST_NAME
        if not self.in_place:
            require_new_folder(self.output)
        elif self._has_foreign_datalist() and original.exists():
            raise ValueError(
                f"{original} exists already: move it away, it is where the present {DATALIST_NAME} is to be kept."
            )

    @contextmanager
    def open(self) -> Iterator[Path]:
        """
        The folder to write to: a new one appears when the ``with`` block ends well. In the source folder a
        ``dataset.json`` that is not from here is kept as ``dataset.original.json``.

        Raises:
            ValueError: as :meth:`require`.
        """
        self.require()
        if not self.in_place:
            with new_folder_atomically(self.output) as target:
                yield target
            return
        if self._has_foreign_datalist():
            shutil.copyfile(self.source / DATALIST_NAME, self.source / ORIGINAL_DATALIST_NAME)
        yield self.source

    def _has_foreign_datalist(self) -> bool:
        file = self.source / DATALIST_NAME
        if not file.exists():
            return False
        try:
            content = read_json(file, schema={"type": "object"})
        except ValueError:
            return True
        return content.get("preparedBy") != PREPARED_BY or content.get("task") != self.task


def transfer_files(
    files: Collection[str], source: Path, target: Path, transfer: Transfer, console: Console | None = None
) -> None:
    """
    Bring files from one folder to another.

    Args:
        files: paths relative to both folders.
        source: where they lie.
        target: where they are to lie.
        transfer: see :func:`transfer_file`.
        console: where a progress bar is shown; None for nowhere.
    """
    for file in track(files, "Writing files", console=console, disable=console is None):
        transfer_file(source / file, target / file, transfer)


def transfer_file(source: Path, target: Path, transfer: Transfer) -> None:
    """
    Bring a file to a new place; missing folders are made.

    Args:
        source: file or symbolic link to one.
        target: new file.
        transfer: ``"copy"``; ``"link"`` makes a hard link, or a copy where the file system has none; ``"move"``.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    if transfer == "move" and not source.is_symlink():
        shutil.move(source, target)
        return
    if transfer == "link":
        try:
            os.link(source.resolve(), target)
            return
        except OSError:  # another file system, or one without hard links
            pass
    shutil.copyfile(source, target)
