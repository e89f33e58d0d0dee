"""What a run of a bundle says first, refuses, and ends with, for somebody who calls `python -m monai.bundle`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from monai.bundle import ConfigWorkflow
from monai.utils import set_determinism

from monai_proto.phantoms import write_mri_phantom_dataset
from monai_proto.workflows import start_run
from monai_proto.workflows.run_start import describe_data, require_no_model

BUNDLE = Path(__file__).parents[2] / "bundles" / "hippocampus_mri_semisupervised"
CONFIGS = BUNDLE / "configs"
QUICK = {"max_epochs": 1, "iterations_per_epoch": 1, "val_interval": 1, "num_labelled": 2}


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("phantoms") / "mri"
    write_mri_phantom_dataset(folder, num_training=4, num_validation=1)
    return folder


@pytest.fixture
def set_up(tmp_path, monkeypatch):
    """Initialises a configuration of the bundle in this process."""
    monkeypatch.setenv("MONAI_PROTO_RUNS", str(tmp_path / "runs"))

    def workflow_of(*files: str, **overrides) -> ConfigWorkflow:
        workflow = ConfigWorkflow(
            [str(CONFIGS / name) for name in files], logging_file=False, bundle_root=str(BUNDLE), **overrides
        )
        try:
            workflow.initialize()
        finally:
            set_determinism(None)
        return workflow

    return workflow_of


def run_bundle(*files: str, folder: Path, **overrides) -> subprocess.CompletedProcess:
    command = [
        sys.executable,
        "-m",
        "monai.bundle",
        "run",
        "--config_file",
        str([str(CONFIGS / name) for name in files]),
    ]
    command += ["--bundle_root", str(BUNDLE), *(w for k, v in overrides.items() for w in (f"--{k}", str(v)))]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "MONAI_PROTO_RUNS": str(folder)}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=300)


def said_at_the_end(finished: subprocess.CompletedProcess) -> str:
    """The lines from "Error:" on, which must be the last and few."""
    assert finished.returncode == 1, finished.stdout[-2000:] + finished.stderr[-2000:]
    lines = finished.stderr.strip().splitlines()
    start = max(index for index, line in enumerate(lines) if line.startswith("Error: "))
    assert len(lines) - start <= 5, finished.stderr[-2000:]
    return "\n".join(lines[start:])


def causes(error: BaseException | None) -> str:
    texts = []
    while error is not None:
        texts.append(str(error))
        error = error.__cause__
    return "\n".join(texts)


def test_a_run_says_its_data_and_writes_where_runs_belong(phantoms, tmp_path):
    finished = run_bundle("train.json", folder=tmp_path, dataset_dir=phantoms, **QUICK)
    assert finished.returncode == 0, finished.stderr[-2000:]
    assert f"Data: {phantoms} (2 labelled, 2 unlabelled, 1 validation)" in finished.stdout.splitlines()
    assert (tmp_path / BUNDLE.name / "model.pt").is_file()
    again = run_bundle("train.json", folder=tmp_path, dataset_dir=phantoms, **QUICK)
    said = said_at_the_end(again)
    assert f"There is a model already: {tmp_path / BUNDLE.name / 'model.pt'}" in said
    assert "--resume True" in said
    assert "--overwrite True" in said


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"data_dir": "X"}, "Did you mean 'dataset_dir'?"),
        pytest.param({"num_labelled": 99}, "num_labelled must be in 1 .. 4", marks=pytest.mark.slow),
        pytest.param({"dataset_dir": "/nowhere"}, "/nowhere", marks=pytest.mark.slow),
    ],
)
def test_a_run_that_fails_ends_with_what_was_wrong(phantoms, tmp_path, overrides, said):
    given = {"dataset_dir": phantoms, **QUICK, **overrides}
    assert said in said_at_the_end(run_bundle("train.json", folder=tmp_path, **given))


def test_an_error_in_the_middle_of_a_run_ends_likewise(phantoms, tmp_path):
    """A checkpoint of other classes is found when the evaluation has begun."""
    content = torch.load(BUNDLE / "models" / "model.pt", weights_only=True)
    name, value = next((name, value) for name, value in reversed(content.items()) if value.ndim > 1)
    torch.save({**content, name: torch.zeros(7, *value.shape[1:])}, tmp_path / "model.pt")
    said = said_at_the_end(
        run_bundle("inference.json", folder=tmp_path, dataset_dir=phantoms, ckpt_path=tmp_path / "model.pt")
    )
    assert f"checkpoint {tmp_path / 'model.pt'} does not fit" in said
    assert "size mismatch" in said


@pytest.mark.slow
def test_an_output_that_cannot_be_written_is_named(phantoms, tmp_path):
    (tmp_path / "file").write_text("")
    given = {"dataset_dir": phantoms, "ckpt_dir": tmp_path / "file" / "run", **QUICK}
    assert str(tmp_path / "file") in said_at_the_end(run_bundle("train.json", folder=tmp_path, **given))


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"num_labeled": 2}, "Did you mean 'num_labelled'?"),
        ({"max_epochs": "many"}, "max_epochs must be a whole number such as 40, got 'many'."),
        ({"train::optimiser": 1}, "Nothing in this bundle reads 'train#optimiser'"),
    ],
)
def test_overrides_are_refused_before_data_is_read(set_up, overrides, said):
    with pytest.raises(RuntimeError) as raised:
        set_up("train.json", dataset_dir="/nowhere", **overrides)
    assert said in causes(raised.value)
    assert "/nowhere" not in causes(raised.value)


def test_words_for_truth_are_taken_as_such(set_up, phantoms, tmp_path):
    (tmp_path / "model.pt").touch()
    workflow = set_up(
        "train.json",
        dataset_dir=str(phantoms),
        ckpt_dir=str(tmp_path),
        num_labelled=2,
        overwrite="true",
        resume="false",
    )
    assert workflow.parser.get_parsed_content("overwrite") is True
    assert workflow.parser.get_parsed_content("resume") is False
    with pytest.raises(RuntimeError) as raised:
        set_up("train.json", dataset_dir=str(phantoms), ckpt_dir=str(tmp_path), num_labelled=2, overwrite="false")
    assert "There is a model already" in causes(raised.value)


def test_phantoms_and_the_model_are_said(set_up, phantoms, monkeypatch, caplog):
    caplog.set_level("INFO", "monai_proto")
    monkeypatch.setattr("monai_proto.phantoms.phantom_dataset_dir", lambda *_: str(phantoms))
    set_up("train.json", "evaluate.json", num_labelled=2)
    assert "Data: PHANTOMS (no --dataset_dir) (2 labelled, 2 unlabelled, 1 validation)" in caplog.text
    assert f"Model: {BUNDLE / 'models' / 'model.pt'}" in caplog.text
    set_up("inference.json", ckpt_path="/x/model.pt", dataset_dir=str(phantoms))
    assert f"Data: {phantoms} (1 images)" in caplog.text
    assert "Model: /x/model.pt" in caplog.text


def test_defaults_lie_outside_of_the_bundle(set_up, phantoms, tmp_path):
    for files, kind in ((("train.json",), "log"), (("train.json", "evaluate.json"), "evaluation")):
        workflow = set_up(*files, dataset_dir=str(phantoms), num_labelled=2)
        folder = workflow.parser.get_parsed_content("output_dir")
        assert folder == str(tmp_path / "runs" / BUNDLE.name / kind)


def test_start_run_belongs_in_a_configuration():
    with pytest.raises(ValueError, match="no ConfigWorkflow calls it"):
        start_run("train")


@pytest.mark.parametrize("name", ["model.pt", "last.pt"])
def test_a_model_is_kept_unless_somebody_says_so(tmp_path, name):
    require_no_model(tmp_path, False, False)
    (tmp_path / name).touch()
    require_no_model(tmp_path, True, False)
    require_no_model(tmp_path, False, True)
    with pytest.raises(ValueError, match=f"There is a model already: {tmp_path / name}"):
        require_no_model(tmp_path, False, False)


def test_data_is_counted_by_part():
    assert describe_data("/d", {"training": [1, 2], "test": []}, False) == "Data: /d (2 training, 0 test)"
    assert describe_data("/d", [1], True) == "Data: PHANTOMS (no --dataset_dir) (1 images)"


@pytest.mark.parametrize("bundle", sorted(BUNDLE.parent.iterdir()), ids=lambda path: path.name)
def test_every_bundle_starts_its_runs_like_this(bundle):
    for name, kind in {
        "train": "train",
        "evaluate": "evaluate",
        "inference": "infer",
        "multi_gpu_train": "train",
    }.items():
        first = json.loads((bundle / "configs" / f"{name}.json").read_text())["initialize"][0]
        assert first == f"$monai_proto.workflows.start_run('{kind}')"
