"""A folder of links under new names, for sources whose files are not laid out or not named as a data list has them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from monai_proto.data.atomic_write import require_new_folder

__all__ = ["link_into", "work_folder_beside"]


@contextmanager
def work_folder_beside(output: Path) -> Iterator[Path]:
    """
    An empty folder beside ``output``, on the same file system, for the time of a ``with`` block.

    Raises:
        ValueError: when ``output`` exists and is not an empty folder.
    """
    require_new_folder(output)
    parent = output.absolute().parent
    parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=parent, prefix=f".{output.name}.") as folder:
        yield Path(folder)


def link_into(work: Path, folder: str, name: str, file: Path) -> str:
    """
    Make a symbolic link to a NIfTI file.

    Args:
        work: root of the new folder.
        folder: folder in it, which is made when it is missing.
        name: new name, without suffix.
        file: the file, whose suffix stays.

    Returns:
        path of the link relative to ``work``, with forward slashes.
    """
    link = f"{folder}/{name}{'.nii.gz' if file.name.lower().endswith('.gz') else '.nii'}"
    (work / link).parent.mkdir(parents=True, exist_ok=True)
    (work / link).symlink_to(file.resolve())
    return link
