from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from monai_proto.preparation.output_place import OutputPlace, transfer_file


def _open(place: OutputPlace, text: str = "new") -> None:
    with place.open() as target:
        (target / "dataset.json").write_text(text)


def test_a_new_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    place = OutputPlace(tmp_path, tmp_path / "out")
    place.require()
    assert not place.in_place
    with pytest.raises(RuntimeError, match="cut off"), place.open() as target:  # noqa: PT012
        (target / "dataset.json").touch()
        raise RuntimeError("cut off")
    assert list(tmp_path.iterdir()) == []
    _open(place)
    with pytest.raises(ValueError, match="out exists and is not an empty folder"):
        place.require()


@pytest.mark.parametrize("content", ["{}", "[]", "{", '{"preparedBy": "monai_proto", "task": "classification"}'])
def test_a_foreign_list_in_the_source_is_kept_and_never_lost(tmp_path: Path, content: str) -> None:
    (tmp_path / "dataset.json").write_text(content)
    place = OutputPlace(tmp_path, tmp_path / "." / "")
    assert place.in_place
    _open(place)
    assert (tmp_path / "dataset.original.json").read_text() == content
    with pytest.raises(ValueError, match=r"dataset\.original\.json exists already: move it away"):
        _open(place)
    assert (tmp_path / "dataset.json").read_text() == "new"


@pytest.mark.parametrize("task", [None, "classification"])
def test_a_list_from_here_is_replaced(tmp_path: Path, task: str | None) -> None:
    own = {"preparedBy": "monai_proto", **({"task": task} if task else {})}
    (tmp_path / "dataset.json").write_text(json.dumps(own))
    _open(OutputPlace(tmp_path, tmp_path, task))
    assert [path.name for path in tmp_path.iterdir()] == ["dataset.json"]


def test_files_are_copied_linked_or_moved(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("content")
    (tmp_path / "symbolic").symlink_to(tmp_path / "file")
    transfer_file(tmp_path / "file", tmp_path / "new" / "copy", "copy")
    transfer_file(tmp_path / "symbolic", tmp_path / "new" / "link", "link")
    transfer_file(tmp_path / "symbolic", tmp_path / "new" / "followed", "move")
    assert os.path.samefile(tmp_path / "new" / "link", tmp_path / "file")
    assert not os.path.samefile(tmp_path / "new" / "copy", tmp_path / "file")
    assert (tmp_path / "symbolic").is_symlink()
    assert not (tmp_path / "new" / "followed").is_symlink()
    transfer_file(tmp_path / "file", tmp_path / "new" / "moved", "move")
    assert not (tmp_path / "file").exists()
    assert {path.read_text() for path in (tmp_path / "new").iterdir()} == {"content"}
