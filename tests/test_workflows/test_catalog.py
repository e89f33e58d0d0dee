from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import pytest

from monai_proto.workflows import catalog, copy_bundle, find_bundle, list_bundles, zip_bundle

BUNDLES = Path(__file__).parents[2] / "bundles"
HIPPOCAMPUS = "hippocampus_mri_semisupervised"


def test_every_bundle_says_what_its_weights_are():
    found = list_bundles()
    assert [info.name for info in found] == sorted(path.name for path in BUNDLES.iterdir())
    for info in found:
        assert info.weights in ("phantom", "research"), info.name
        assert info.licence not in ("", "unknown"), info.name
        assert info.task, info.name
        assert info.modality, info.name
        assert info.classes, info.name


def test_a_bundle_is_found_by_name_and_by_folder(tmp_path, monkeypatch):
    assert find_bundle(HIPPOCAMPUS) == BUNDLES / HIPPOCAMPUS
    monkeypatch.chdir(BUNDLES)
    assert find_bundle(f"./{HIPPOCAMPUS}") == BUNDLES / HIPPOCAMPUS
    with pytest.raises(ValueError, match=f"Did you mean {HIPPOCAMPUS}"):
        find_bundle("hippocampus_mri_semisupervized")
    with pytest.raises(ValueError, match=f"Did you mean {HIPPOCAMPUS}"):
        find_bundle("hippocampus")
    with pytest.raises(ValueError, match="is a folder, but no bundle"):
        find_bundle(tmp_path)


def test_an_installed_package_has_its_bundles_inside(tmp_path, monkeypatch):
    package = tmp_path / "site-packages" / "monai_proto"
    monkeypatch.setattr(catalog, "files", lambda _: package)
    with pytest.raises(ValueError, match="There are no bundles"):
        list_bundles()
    shutil.copytree(BUNDLES / HIPPOCAMPUS / "configs", package / "bundles" / HIPPOCAMPUS / "configs")
    assert find_bundle(HIPPOCAMPUS) == package / "bundles" / HIPPOCAMPUS


def test_a_copy_has_the_bundles_files_and_never_overwrites(tmp_path):
    source = tmp_path / "mine"
    shutil.copytree(BUNDLES / HIPPOCAMPUS, source)
    (source / "eval").mkdir()
    (source / "eval" / "left_by_a_run.txt").write_text("x")
    copy = copy_bundle(source, tmp_path / "new" / "copy")
    ours = {path.relative_to(source) for path in source.rglob("*") if path.is_file() and path.parent.name != "eval"}
    assert {path.relative_to(copy) for path in copy.rglob("*") if path.is_file()} == ours
    assert (copy / "models" / "model.pt").read_bytes() == (source / "models" / "model.pt").read_bytes()
    (copy / "configs" / "train.json").write_text("changed")
    assert copy_bundle(source, tmp_path / "new") == tmp_path / "new" / "mine"  # a folder gets the copy inside
    with pytest.raises(FileExistsError, match="nothing is overwritten"):
        copy_bundle(source, tmp_path / "new")
    assert (copy / "configs" / "train.json").read_text() == "changed"
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["copy", "mine"]


def test_an_archive_is_what_monais_downloader_takes(tmp_path):
    archive = zip_bundle(HIPPOCAMPUS, tmp_path / "dist")
    version = json.loads((BUNDLES / HIPPOCAMPUS / "configs" / "metadata.json").read_text())["version"]
    assert archive.name == f"{HIPPOCAMPUS}_v{version}.zip"
    with zipfile.ZipFile(archive) as file:
        names = file.namelist()
        assert {name.split("/")[0] for name in names} == {HIPPOCAMPUS}
        assert f"{HIPPOCAMPUS}/models/model.pt" in names
        assert json.loads(file.read(f"{HIPPOCAMPUS}/configs/metadata.json"))["version"] == version
    first = archive.read_bytes()
    with pytest.raises(FileExistsError):
        zip_bundle(HIPPOCAMPUS, tmp_path / "dist")
    assert zip_bundle(HIPPOCAMPUS, tmp_path / "again").read_bytes() == first
