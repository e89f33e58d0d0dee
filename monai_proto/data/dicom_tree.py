"""Lists the files of a folder tree in a fixed order, and names links that lead out of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["walk_files"]


def walk_files(root: str | os.PathLike) -> Iterator[tuple[Path, str | None]]:
    """
    Every file below a folder, a folder at a time, sorted by name; one folder's names are in memory at a time.

    Args:
        root: the folder.

    Yields:
        the file, and None or why it must not be read: it is a link that leads outside of ``root`` or nowhere, no
        regular file, or a folder that cannot be entered. Links to folders are not followed.
    """
    root = Path(root)
    inside = root.resolve()
    denied: list[OSError] = []
    for folder, folders, files in os.walk(root, onerror=denied.append):
        folders.sort()
        for error in denied:
            yield Path(error.filename), f"folder cannot be read: {error.strerror}"
        denied.clear()
        for name in sorted(files + [name for name in folders if os.path.islink(os.path.join(folder, name))]):
            file = Path(folder, name)
            yield file, _problem(file, inside)
    for error in denied:
        yield Path(error.filename), f"folder cannot be read: {error.strerror}"


def _problem(file: Path, inside: Path) -> str | None:
    if file.is_symlink():
        target = file.resolve()
        if not target.is_relative_to(inside):
            return "link that leads outside of the folder"
        if not target.exists():
            return "link that leads nowhere"
        if target.is_dir():
            return "link to a folder, not followed"
    return None if file.is_file() else "no regular file"
