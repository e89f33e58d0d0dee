"""Fetches an archive over HTTP so that a cut connection costs nothing, and unpacks a tar file safely."""

from __future__ import annotations

import os
import shutil
import tarfile
import time
import zlib
from pathlib import Path
from urllib.parse import urlparse

import pooch
import requests
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

__all__ = ["ResumableDownloader", "fetch_archive", "unpack_tar"]

_BLOCK_BYTES = 1 << 16  # what a cut connection may lose
_TIMEOUT_S = (30, 60)  # to connect, and between two blocks


class ResumableDownloader:
    """
    Downloader for ``pooch.retrieve`` that goes on where an earlier one stopped, also in another process.

    What has arrived lies in ``part_file`` until it is complete; the rest is asked for with an HTTP range.

    Args:
        part_file: where to keep what has arrived.
        attempts: how many times in a row it may connect without receiving anything.
        wait_s: seconds to wait after the first such time; doubled after each further one.
        console: where progress is shown; None for nowhere.
    """

    def __init__(
        self, part_file: str | os.PathLike, attempts: int = 5, wait_s: float = 1.0, console: Console | None = None
    ) -> None:
        self.part_file = Path(part_file)
        self.attempts = attempts
        self.wait_s = wait_s
        self.console = console

    def __call__(self, url: str, output_file: str | os.PathLike, pooch_instance: object = None) -> None:
        """
        Download ``url`` to ``output_file``.

        Raises:
            requests.RequestException: when it gave up; what has arrived stays in ``part_file``.
        """
        failures = 0
        while True:
            have = self._received_bytes()
            try:
                self._continue(url, have)
                break
            except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError):
                failures = 0 if self._received_bytes() > have else failures + 1
                if failures >= self.attempts:
                    raise
                time.sleep(self.wait_s * 2 ** max(failures - 1, 0))
        shutil.move(self.part_file, output_file)

    def _received_bytes(self) -> int:
        return self.part_file.stat().st_size if self.part_file.exists() else 0

    def _continue(self, url: str, have: int) -> None:
        # identity: a compressed reply would make byte ranges mean something else
        headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={have}-"} if have else {})}
        with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT_S) as reply:
            if reply.status_code == requests.codes.requested_range_not_satisfiable:
                if reply.headers.get("Content-Range", "").endswith(f"/{have}"):
                    return  # all of it was there
                self.part_file.unlink()
                raise requests.ConnectionError(f"{self.part_file} does not fit what {url} has now: starting again.")
            reply.raise_for_status()
            resumed = reply.status_code == requests.codes.partial_content
            self._receive(reply, have if resumed else 0)

    def _receive(self, reply: requests.Response, start: int) -> None:
        length = reply.headers.get("Content-Length")
        total = start + int(length) if length else None
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        with (
            open(self.part_file, "ab" if start else "wb") as stream,
            Progress(*columns, console=self.console, disable=self.console is None) as progress,
        ):
            task = progress.add_task(f"Downloading {self.part_file.stem}", total=total, completed=start)
            for block in reply.iter_content(_BLOCK_BYTES):
                stream.write(block)
                progress.advance(task, len(block))


def fetch_archive(url: str, known_hash: str, folder: str | os.PathLike, console: Console | None = None) -> Path:
    """
    Download an archive unless the folder holds it already, and verify it.

    Args:
        url: http or https address.
        known_hash: ``"sha256:..."`` or ``"md5:..."``.
        folder: where the archive is kept under the name that it has in ``url``.
        console: where progress is shown; None for nowhere.

    Returns:
        the archive.

    Raises:
        ValueError: when its hash is another one; the file is removed.
        requests.RequestException: when it cannot be fetched; what has arrived stays, and the next call goes on there.
    """
    name = Path(urlparse(url).path).name or "archive.tar"
    folder = Path(folder).absolute()
    downloader = ResumableDownloader(folder / f"{name}.part", console=console)
    return Path(pooch.retrieve(url, known_hash, fname=name, path=folder, downloader=downloader))


def unpack_tar(archive: str | os.PathLike, folder: str | os.PathLike) -> None:
    """
    Unpack a tar file, compressed or not; nothing is written outside of ``folder``.

    Raises:
        ValueError: when the archive is damaged, or a member would lie outside of ``folder``.
    """
    try:
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
    except tarfile.FilterError as error:
        raise ValueError(f"Archive {archive} is not safe to unpack: {error}.") from error
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise ValueError(f"Archive {archive} is damaged or no tar file: {error}.") from error
