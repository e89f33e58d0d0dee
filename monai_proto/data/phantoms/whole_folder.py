"""Folders of phantoms that appear whole or not at all, whichever of several processes makes them first."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from monai_proto.data.atomic_write import new_folder_atomically

__all__ = ["whole_folder"]


@contextmanager
def whole_folder(output_dir: str | os.PathLike) -> Iterator[Path]:
    """A folder to fill beside ``output_dir``, which takes that name when the ``with`` block ends without an exception.

    It is `new_folder_atomically` with the errors that a cache shared by several processes needs.

    Args:
        output_dir: name of the finished folder; missing parents are made.

    Raises:
        FileExistsError: when ``output_dir`` has content, or another process gave it content in the meantime.
    """
    output = Path(output_dir).absolute()
    if _has_content(output):
        raise FileExistsError(f"output_dir must not exist or be empty, got {output}.")
    in_block = False
    try:
        with new_folder_atomically(output) as partial:
            in_block = True
            yield partial
            in_block = False
    except (OSError, ValueError) as error:
        if not in_block and _has_content(output):
            raise FileExistsError(f"output_dir {output} was made by another process in the meantime.") from error
        raise


def _has_content(path: Path) -> bool:
    """Whether something other than an empty folder is there."""
    return path.exists() and (not path.is_dir() or any(path.iterdir()))
