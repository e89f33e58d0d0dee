"""The folders of a DICOM node on disk: every object that was received lies in exactly one of them."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from pathlib import Path

from monai_proto.data.atomic_write import new_file_atomically, write_text_atomically

__all__ = ["NodeFolders"]


class NodeFolders:
    """
    Moves series from folder to folder, each by one renaming; see :class:`DicomNode` for what the folders are.

    Args:
        root: folder for all of them.

    Raises:
        OSError: from every method, when the disk is full or out of reach; what was there stays.
    """

    def __init__(self, root: str | os.PathLike) -> None:
        self.root = Path(root)

    def open(self) -> None:
        """Make the folders, and take up again what an earlier process was receiving or working on when it ended."""
        for name in ("incoming", "working", "done", "failed"):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        for unfinished in self.root.glob("*/*/.*.partial"):  # its sender was not told that it had arrived
            unfinished.unlink()
        for folder in sorted((self.root / "working").iterdir()):
            shutil.rmtree(folder / "result", ignore_errors=True)
            target = self.root / "incoming" / folder.name.rpartition("_")[0]
            target.mkdir(exist_ok=True)
            for file in folder.iterdir():
                file.rename(_free_name(target / file.name))
            folder.rmdir()

    def receive(self, series: str, instance: str, content: bytes) -> None:
        """
        Keep an object; a second one of the same identifier and another content is kept beside the first.

        Args:
            series: SeriesInstanceUID.
            instance: SOPInstanceUID.
            content: the DICOM file.

        Raises:
            ValueError: when one of them is no UID, and so perhaps a path that leads elsewhere.
        """
        if not (_is_uid(series) and _is_uid(instance)):
            raise ValueError("identifiers that are no UIDs")
        folder = self.root / "incoming" / series
        folder.mkdir(exist_ok=True)
        file = folder / f"{instance}.dcm"
        if not (file.exists() and file.read_bytes() == content):
            _store(_free_name(file), content)

    def keep_apart(self, content: bytes, reason: str) -> None:
        """Keep an object that belongs to no series in ``failed``."""
        folder = self.root / "failed" / f"object_{secrets.token_hex(4)}"
        folder.mkdir()
        _store(folder / "object.dcm", content)
        write_text_atomically(folder / "reason.txt", f"{reason}\n")

    def waiting(self) -> list[str]:
        """Series in ``incoming``."""
        return sorted(folder.name for folder in (self.root / "incoming").iterdir())

    def start(self, series: str) -> Path:
        """Move a series to ``working``, under a name of its own: more of it may come later."""
        folder = self.root / "working" / f"{series}_{secrets.token_hex(4)}"
        (self.root / "incoming" / series).rename(folder)
        return folder

    def finish(self, folder: Path) -> None:
        """Move a series from ``working`` to ``done``."""
        folder.rename(self.root / "done" / folder.name)

    def fail(self, folder: Path, reason: str) -> None:
        """Move a series from ``working`` to ``failed``, with the reason."""
        with contextlib.suppress(OSError):  # a full disk: the images still go where they can be found
            write_text_atomically(folder / "reason.txt", f"{reason}\n")
        folder.rename(self.root / "failed" / folder.name)


def _is_uid(text: str) -> bool:
    """A UID is a file name that leads nowhere else: digits and dots, none of them first, last or doubled."""
    return 0 < len(text) <= 64 and all(part.isascii() and part.isdigit() for part in text.split("."))


def _store(file: Path, content: bytes) -> None:
    with new_file_atomically(file) as stream:
        stream.write(content)


def _free_name(file: Path) -> Path:
    return file.with_name(f"{file.stem}_{secrets.token_hex(4)}{file.suffix}") if file.exists() else file
