from __future__ import annotations

import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import requests

from monai_proto.preparation.archives import ResumableDownloader, fetch_archive, unpack_tar

CONTENT = np.random.default_rng(0).bytes(300_000)
KNOWN_HASH = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"


class RangeServer(ThreadingHTTPServer):
    """
    Serves ``content`` at any path, with byte ranges, and writes down the ranges it was asked for.

    ``cut_after`` cuts each connection after that many bytes of the reply; ``refuse`` answers with status 503;
    ``ignore_range`` sends the whole content whatever was asked for.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _RangeHandler)
        self.content = CONTENT
        self.cut_after: int | None = None
        self.refuse = False
        self.ignore_range = False
        self.ranges: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/data/Task99_Toy.tar"


class _RangeHandler(BaseHTTPRequestHandler):
    server: RangeServer

    def do_GET(self) -> None:
        asked, size = self.headers.get("Range"), len(self.server.content)
        self.server.ranges.append(asked)
        if self.server.refuse:
            self.send_error(503)
            return
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and not self.server.ignore_range else 0
        if start >= size:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{size}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        self.send_header("Content-Length", str(size - start))
        self.end_headers()
        reply = self.server.content[start:]
        self.wfile.write(reply[: self.server.cut_after])  # the connection closes when this method returns

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[RangeServer]:
    server = RangeServer()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def _quick(folder: Path, attempts: int = 3) -> ResumableDownloader:
    return ResumableDownloader(folder / "toy.part", attempts=attempts, wait_s=0.01)


def test_whole_file_in_one_go(server: RangeServer, tmp_path: Path) -> None:
    _quick(tmp_path)(server.url, tmp_path / "toy")
    assert (tmp_path / "toy").read_bytes() == CONTENT
    assert [path.name for path in tmp_path.iterdir()] == ["toy"]
    assert server.ranges == [None]


def test_cut_connection_is_resumed_where_it_stopped(server: RangeServer, tmp_path: Path) -> None:
    server.cut_after = 130_000
    _quick(tmp_path)(server.url, tmp_path / "toy")
    assert (tmp_path / "toy").read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=65536-", "bytes=131072-", "bytes=196608-"]  # whole blocks are kept


def test_next_run_goes_on_where_the_last_one_gave_up(server: RangeServer, tmp_path: Path) -> None:
    (tmp_path / "toy.part").write_bytes(CONTENT[:200_000])
    server.cut_after = 0
    with pytest.raises(requests.RequestException):
        _quick(tmp_path, attempts=2)(server.url, tmp_path / "toy")
    assert not (tmp_path / "toy").exists()
    assert (tmp_path / "toy.part").read_bytes() == CONTENT[:200_000]
    server.cut_after = None
    _quick(tmp_path)(server.url, tmp_path / "toy")
    assert (tmp_path / "toy").read_bytes() == CONTENT
    assert server.ranges == ["bytes=200000-"] * 3


def test_server_without_ranges_starts_again(server: RangeServer, tmp_path: Path) -> None:
    (tmp_path / "toy.part").write_bytes(b"x" * 1000)
    server.ignore_range = True
    _quick(tmp_path)(server.url, tmp_path / "toy")
    assert (tmp_path / "toy").read_bytes() == CONTENT


def test_part_that_is_complete_is_taken_and_one_that_is_too_long_is_not(server: RangeServer, tmp_path: Path) -> None:
    (tmp_path / "toy.part").write_bytes(CONTENT)
    _quick(tmp_path)(server.url, tmp_path / "toy")
    assert (tmp_path / "toy").read_bytes() == CONTENT
    (tmp_path / "toy.part").write_bytes(CONTENT + b"more")
    _quick(tmp_path)(server.url, tmp_path / "toy")
    assert (tmp_path / "toy").read_bytes() == CONTENT


def test_refusing_server_is_not_asked_again(server: RangeServer, tmp_path: Path) -> None:
    server.refuse = True
    with pytest.raises(requests.HTTPError, match="503"):
        _quick(tmp_path)(server.url, tmp_path / "toy")
    assert len(server.ranges) == 1


def test_fetched_archive_is_verified_and_fetched_once(server: RangeServer, tmp_path: Path) -> None:
    for _ in range(2):
        archive = fetch_archive(server.url, KNOWN_HASH, tmp_path / "new")
        assert archive == tmp_path / "new" / "Task99_Toy.tar"
        assert archive.read_bytes() == CONTENT
    assert server.ranges == [None]


def test_wrong_hash_is_an_error_and_leaves_nothing_behind(server: RangeServer, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"MD5 hash of downloaded file \(Task99_Toy\.tar\) does not match"):
        fetch_archive(server.url, f"md5:{'0' * 32}", tmp_path)
    assert not list(tmp_path.iterdir())


def _tar(file: Path, members: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(file, mode) as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return file


@pytest.mark.parametrize(("name", "mode"), [("toy.tar", "w"), ("toy.tar.gz", "w:gz")])
def test_unpacks_tar_files(tmp_path: Path, name: str, mode: str) -> None:
    unpack_tar(_tar(tmp_path / name, {"Task/a.txt": b"a", "Task/b/c.txt": b"c"}, mode), tmp_path / "out")
    assert (tmp_path / "out" / "Task" / "b" / "c.txt").read_bytes() == b"c"


def test_member_outside_is_refused(tmp_path: Path) -> None:
    archive = _tar(tmp_path / "toy.tar", {"Task/a.txt": b"a", "../evil.txt": b"evil"})
    (tmp_path / "deep").mkdir()
    with pytest.raises(ValueError, match=r"toy\.tar is not safe to unpack: .*evil\.txt"):
        unpack_tar(archive, tmp_path / "deep" / "out")
    assert not list(tmp_path.rglob("evil.txt"))


def test_link_to_the_outside_is_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "toy.tar", "w") as tar:
        link = tarfile.TarInfo("Task/link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    with pytest.raises(ValueError, match="is not safe to unpack"):
        unpack_tar(tmp_path / "toy.tar", tmp_path / "out")


@pytest.mark.parametrize(("name", "mode"), [("toy.tar", "w"), ("toy.tar.gz", "w:gz")])
def test_truncated_archive_is_damaged(tmp_path: Path, name: str, mode: str) -> None:
    archive = _tar(tmp_path / name, {"Task/a.bin": CONTENT}, mode)
    archive.write_bytes(archive.read_bytes()[:100_000])
    with pytest.raises(ValueError, match=rf"{name} is damaged or no tar file"):
        unpack_tar(archive, tmp_path / "out")


def test_what_is_no_tar_file(tmp_path: Path) -> None:
    (tmp_path / "toy.tar").write_bytes(b"not a tar file")
    with pytest.raises(ValueError, match="is damaged or no tar file"):
        unpack_tar(tmp_path / "toy.tar", tmp_path / "out")
