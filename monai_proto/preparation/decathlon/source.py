"""Where a Decathlon data set comes from: a folder, a tar file, a local mirror, or an address."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import pooch
from monai.apps import DecathlonDataset
from rich.console import Console

from monai_proto.data.atomic_write import require_new_folder
from monai_proto.preparation.archives import fetch_archive, unpack_tar
from monai_proto.preparation.volumes.case import find_decathlon_root

__all__ = ["open_decathlon_source"]


@contextmanager
def open_decathlon_source(
    output: str | os.PathLike,
    source: Path | None = None,
    task: str | None = None,
    url: str | None = None,
    known_hash: str | None = None,
    download_dir: str | os.PathLike | None = None,
    console: Console | None = None,
) -> Iterator[tuple[Path, Literal["copy", "move"]]]:
    """
    The folder of a data set for the time of a ``with`` block; an archive is unpacked beside ``output`` until it ends.

    Args:
        output: where the prepared data set is going to be, a new folder unless the source is a folder.
        source: folder or tar file; with ``task`` the folder of a local mirror.
        task: a task that MONAI's ``DecathlonDataset`` knows; fetched when there is no mirror.
        url: address of a tar file.
        known_hash: ``"sha256:..."`` or ``"md5:..."`` of the tar file; a task's own is known.
        download_dir: where a downloaded archive is kept; None for the folder that ``output`` is in.
        console: where progress is shown; None for nowhere.

    Yields:
        the folder with the cases, and how its files may be brought to ``output``.

    Raises:
        ValueError: when the arguments name no source or more than one, or the source does not exist, has another hash,
            cannot be unpacked safely, or holds no data set.
        requests.RequestException: when the archive cannot be fetched; the next call goes on where this one stopped.
    """
    if task:
        source, url, known_hash = _locate_task(task, source, url, known_hash)
    if (source is None) == (url is None):
        raise ValueError("Give one of --source, --url and --task (--task may have a local mirror as its --source).")
    if source and source.is_dir():
        if known_hash:
            raise ValueError(f"--sha256 and --md5 are for a tar file, but --source {source} is a folder.")
        yield find_decathlon_root(source), "copy"
        return
    require_new_folder(output)
    parent = Path(output).absolute().parent
    parent.mkdir(parents=True, exist_ok=True)
    archive = _verified(source, known_hash) if source else _fetched(url, known_hash, download_dir or parent, console)
    with TemporaryDirectory(dir=parent, prefix=f".{Path(output).name}.") as unpacked:
        if console:
            console.print(f"Unpacking {archive.name} ...")
        unpack_tar(archive, unpacked)
        yield find_decathlon_root(Path(unpacked)), "move"


def _locate_task(
    task: str, mirror: Path | None, url: str | None, known_hash: str | None
) -> tuple[Path | None, str | None, str | None]:
    """Source, address and hash of a task: its folder or tar file in a mirror, else its public address."""
    if url:
        raise ValueError("--task has an address of its own: leave out --url.")
    if task not in DecathlonDataset.resource:
        raise ValueError(f"--task must be one of {', '.join(DecathlonDataset.resource)}, got {task}.")
    archive_hash = known_hash or f"md5:{DecathlonDataset.md5[task]}"
    if mirror is None:
        return None, DecathlonDataset.resource[task], archive_hash
    if (mirror / task).is_dir():
        return mirror / task, None, known_hash
    if (mirror / f"{task}.tar").is_file():
        return mirror / f"{task}.tar", None, archive_hash
    raise ValueError(f"--source {mirror} holds neither {task} nor {task}.tar.")


def _fetched(url: str, known_hash: str | None, folder: str | os.PathLike, console: Console | None) -> Path:
    if not known_hash:
        raise ValueError("--url needs --sha256 or --md5: a download is always verified.")
    return fetch_archive(url, known_hash, folder, console)


def _verified(archive: Path, known_hash: str | None) -> Path:
    if not archive.is_file():
        raise ValueError(f"--source {archive} does not exist.")
    if known_hash:
        algorithm, expected = known_hash.split(":")
        found = pooch.file_hash(archive, algorithm)
        if found != expected.lower():
            raise ValueError(f"{algorithm} of --source {archive} is {found}, expected {expected}: it is damaged.")
    return archive
