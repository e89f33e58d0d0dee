from __future__ import annotations

import os

import pytest

from monai_proto.data.atomic_write import new_folder_atomically, write_text_atomically


def test_text_replaces_the_old_file_and_is_readable_by_others(tmp_path) -> None:
    file = tmp_path / "list.json"
    file.write_text("old")
    write_text_atomically(file, "neu: ä\n")
    assert file.read_bytes() == "neu: ä\n".encode()
    umask = os.umask(0)
    os.umask(umask)
    assert file.stat().st_mode & 0o777 == 0o666 & ~umask


def test_failed_text_leaves_the_old_file_and_nothing_else(tmp_path) -> None:
    file = tmp_path / "list.json"
    file.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        write_text_atomically(file, "lone surrogate \udc80")
    assert file.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["list.json"]


def test_folder_appears_at_the_end(tmp_path) -> None:
    folder = tmp_path / "missing" / "folder"
    with new_folder_atomically(folder) as partial:
        (partial / "a.txt").write_text("a")
        assert not folder.exists()
    assert [path.name for path in folder.iterdir()] == ["a.txt"]
    assert [path.name for path in folder.parent.iterdir()] == ["folder"]


def test_folder_takes_the_place_of_an_empty_one(tmp_path) -> None:
    (tmp_path / "empty").mkdir()
    with new_folder_atomically(tmp_path / "empty") as partial:
        (partial / "a.txt").write_text("a")
    assert (tmp_path / "empty" / "a.txt").exists()


def test_folder_that_failed_leaves_nothing(tmp_path) -> None:
    with pytest.raises(RuntimeError, match="disk full"), new_folder_atomically(tmp_path / "folder") as partial:  # noqa: PT012
        (partial / "a.txt").write_text("a")
        raise RuntimeError("disk full")
    assert not list(tmp_path.iterdir())


def test_folder_with_content_is_refused(tmp_path) -> None:
    (tmp_path / "a.txt").write_text("a")
    with pytest.raises(ValueError, match="is not an empty folder"), new_folder_atomically(tmp_path):
        pass
    assert (tmp_path / "a.txt").read_text() == "a"
