"""The app's copies of bundles, and what becomes of a training's result."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from dicom_files import write_series
from typer.testing import CliRunner

from monai_proto.apps.monailabel.dicom_studies import DicomStudies
from monai_proto.apps.monailabel.workspace import bundles_for, is_inside, publish_model
from monai_proto.cli.main import app
from monai_proto.workflows.catalog import bundles_folder

HIPPOCAMPUS = "hippocampus_mri_semisupervised"


def test_bundles_of_the_checkout_are_copied_with_their_kind(tmp_path):
    copies = bundles_for(bundles_folder(), tmp_path)
    assert {name: (copy.kind, copy.volumes) for name, copy in copies.items()} == {
        "abdomen_ct_semisupervised": ("segmentation", True),
        "ct_mr_slice_sam_weak_segmentation": ("promptable", True),
        "dermoscopy_prototype_classification": ("classification", False),
        "dermoscopy_sam_weak_segmentation": ("promptable", False),
        HIPPOCAMPUS: ("segmentation", True),
    }
    source = bundles_folder() / HIPPOCAMPUS
    for part in ("configs/inference.json", "models/model.pt"):
        assert (tmp_path / "model" / HIPPOCAMPUS / part).read_bytes() == (source / part).read_bytes()


def test_trained_weights_outlive_a_restart_and_configurations_do_not(tmp_path):
    copy = bundles_for(bundles_folder(), tmp_path, [HIPPOCAMPUS])[HIPPOCAMPUS]
    (copy.models / "model.pt").write_bytes(b"trained")
    (copy.path / "configs" / "inference.json").write_text("old")
    bundles_for(bundles_folder(), tmp_path, [HIPPOCAMPUS])
    assert (copy.models / "model.pt").read_bytes() == b"trained"
    assert json.loads((copy.path / "configs" / "inference.json").read_text())["num_classes"] == 3


def test_unknown_bundle_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"No bundle nope in .*; there are abdomen_ct_semisupervised"):
        bundles_for(bundles_folder(), tmp_path, ["nope"])


def test_published_model_takes_the_place_of_the_one_before(tmp_path):
    trained, models = tmp_path / "trained", tmp_path / "models"
    trained.mkdir()
    models.mkdir()
    with pytest.raises(ValueError, match=r"left no model\.pt"):
        publish_model(trained, models)
    (models / "model.pt").write_bytes(b"old")
    (trained / "model.pt").write_bytes(b"new")
    (trained / "metadata.json").write_text("{}")
    (trained / "last.pt").write_bytes(b"what a resumed run needs")
    assert publish_model(trained, models) == ["metadata.json", "model.pt"]
    assert {file.name: file.read_bytes() for file in models.iterdir()} == {
        "model.pt": b"new",
        "previous.pt": b"old",
        "metadata.json": b"{}",
    }


def test_links_do_not_lead_outside(tmp_path):
    (tmp_path / "studies").mkdir()
    os.symlink("/etc", tmp_path / "studies" / "link")
    assert is_inside(tmp_path / "studies" / "a.nii.gz", tmp_path / "studies")
    assert not is_inside(tmp_path / "studies" / "link" / "hostname", tmp_path / "studies")


def test_dicom_folders_are_found_and_converted_once(tmp_path):
    studies = tmp_path / "studies"
    write_series(studies / "series", (6, 5, 4))
    (studies / "notes").mkdir()
    (studies / "notes" / "readme.txt").write_text("no DICOM")
    write_series(studies / "app" / "series", (6, 5, 4))
    found = DicomStudies(studies, tmp_path / "converted", ignored=[studies / "app"])
    assert found.names() == ["series"]
    file = found.nifti("series")
    stamp = file.stat().st_mtime_ns
    assert found.nifti("series") == file
    assert file.stat().st_mtime_ns == stamp
    for dicom in (studies / "series").iterdir():
        os.utime(dicom, (stamp / 1e9 + 10, stamp / 1e9 + 10))
    found.nifti("series")
    assert file.stat().st_mtime_ns != stamp


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--studies", "nowhere"], "is not a folder"),
        (["--studies", ".", "--modality", "pet"], "--modality must be ct or mr"),
    ],
)
def test_command_says_what_is_wrong(options, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["label", *options])
    assert result.exit_code == 2
    assert said in re.sub(r"\s+", " ", result.output)


def test_command_needs_monai_label(tmp_path):
    """In an environment without it: the one that most tests run in."""
    try:
        import monailabel.main  # noqa: F401
    except ImportError:
        result = CliRunner().invoke(app, ["label", "--studies", str(tmp_path)])
        assert result.exit_code == 1
        assert "monailabel" in result.output
        assert not list(Path(tmp_path).iterdir()), "something was made although nothing could start"
    else:
        pytest.skip("MONAI Label is installed here")
