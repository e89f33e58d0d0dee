from __future__ import annotations

import json
from pathlib import Path

import pytest

from monai_proto.apps.run.folder import RunFolder
from monai_proto.apps.run.inputs import find_volume_images, result_name
from monai_proto.apps.run.prediction import find_model, known_overrides
from monai_proto.apps.run.train_settings import TrainSettings
from monai_proto.workflows import find_bundle

RECORD = {"bundle": "/b", "data": None, "overrides": {}}


def a_run(path: Path) -> RunFolder:
    folder = RunFolder(path)
    folder.open_for_training(resume=False, overwrite=False)
    folder.write_record(RECORD)
    folder.last.write_bytes(b"state")
    return folder


def test_a_run_is_neither_replaced_nor_gone_on_with_unasked(tmp_path):
    folder = a_run(tmp_path / "run")
    with pytest.raises(ValueError, match=r"holds a run: --resume goes on .* --overwrite"):
        folder.open_for_training(resume=False, overwrite=False)
    assert folder.last.is_file()
    assert folder.open_for_training(resume=True, overwrite=False) == RECORD
    assert folder.open_for_training(resume=False, overwrite=True) is None
    assert list(folder.path.iterdir()) == []


def test_what_is_no_run_is_never_removed(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ValueError, match="holds no run"):
        RunFolder(tmp_path).open_for_training(resume=False, overwrite=True)
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_the_log_of_a_run_that_never_began_hinders_nobody(tmp_path):
    (tmp_path / "train.log").write_text("Traceback")
    assert RunFolder(tmp_path).open_for_training(resume=False, overwrite=False) is None


@pytest.mark.parametrize("record", ["{", "[]", '{"bundle": "/b"}'])
def test_a_damaged_record_is_named(tmp_path, record):
    (tmp_path / "run.json").write_text(record)
    with pytest.raises(ValueError, match=r"run\.json"):
        RunFolder(tmp_path).read_record()


def test_inference_takes_those_overrides_of_a_training_that_it_knows():
    assert known_overrides({"num_classes": 3}, {"num_classes": 5, "max_epochs": 2, "train#x": 1}) == {"num_classes": 5}


def test_what_is_neither_run_nor_bundle_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"holds no run \(run\.json\)\. .* Did you mean hippocampus_mri"):
        find_model("hippocampus_mri_semisupervized")
    with pytest.raises(ValueError, match=r"holds no run \(run\.json\)\. .* is a folder, but no bundle"):
        find_model(str(tmp_path))


@pytest.mark.parametrize(
    ("name", "option"), [("dataset_dir", "--data"), ("ckpt_dir", "--output"), ("resume", "--resume")]
)
def test_what_a_run_must_know_is_no_override(tmp_path, name, option):
    settings = TrainSettings(find_bundle("hippocampus_mri_semisupervised"), tmp_path, overrides={name: "x"})
    with pytest.raises(ValueError, match=f"--set {name} .* use {option}"):
        settings.check()


def test_nested_images_keep_the_folders_that_tell_them_apart(tmp_path):
    for name in ("patientA/t1.nii.gz", "patientB/x/t1.nii.gz", "patientB/._t1.nii.gz", "patientB/notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    items = find_volume_images(tmp_path)
    assert [result_name(item, items) for item in items] == ["patientA/t1", "patientB/x/t1"]
    assert find_volume_images(tmp_path / "patientA" / "t1.nii.gz") == items[:1]
    (tmp_path / "patientA" / "t1.nii").write_bytes(b"")
    with pytest.raises(ValueError, match="results of one name"):
        find_volume_images(tmp_path)


@pytest.mark.parametrize(
    ("name", "message"), [("a.txt", "no NIfTI file"), ("empty", "holds no NIfTI"), ("gone", "neit")]
)
def test_an_input_without_images_is_named(tmp_path, name, message):
    (tmp_path / "a.txt").write_text(json.dumps({}))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=message):
        find_volume_images(tmp_path / name)
