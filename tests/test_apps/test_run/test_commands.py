"""The commands as a person types them, on small phantoms."""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from typer.testing import CliRunner, Result

from monai_proto.cli.main import app
from monai_proto.phantoms import write_mri_phantom_dataset

BUNDLE = "hippocampus_mri_semisupervised"
QUICK = ("--set", "max_epochs=2", "--set", "iterations_per_epoch=2", "--set", "val_interval=5")
QUICK += ("--set", "device=cpu", "--set", "use_tensorboard=false")


def call(*arguments: object, status: int = 0) -> str:
    result: Result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == status, f"{result.output}\n{result.exception!r}"
    return result.output


def command_of(text: str) -> list[str]:
    """The words of a printed command, without the program's name."""
    program, *words = shlex.split(text)
    assert program == "monai-proto"
    return words


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("phantoms") / "with space"
    write_mri_phantom_dataset(folder, num_training=8, num_validation=3)
    return folder


@pytest.fixture(scope="module")
def trained(phantoms, tmp_path_factory) -> tuple[Path, str]:
    run = tmp_path_factory.mktemp("runs") / "run 1"
    return run, call("train", BUNDLE, "--data", phantoms, "--output", run, *QUICK)


def test_training_says_its_data_first_and_at_the_end_what_to_type(trained, phantoms):
    _run, said = trained
    threads, *lines = said.splitlines()
    assert re.fullmatch(r"Threads: \d+ \(.+\)", threads)  # to standard error
    assert lines[0] == f"Data: {phantoms} (3 labelled, 5 unlabelled, 3 validation)"
    assert re.match(r"epoch 1/2: loss \d\.\d+, .* left\)$", lines[1])
    assert re.match(r"epoch 2/2: validation Dice \d\.\d+, Dice anterior \d\.\d+, Dice posterior \d\.\d+$", lines[3])
    assert "Warning" not in said
    assert "INFO" not in said
    assert "nvImageCodec" not in said
    assert "anterior" in said
    assert lines[-1].startswith("Next: monai-proto predict ")


def test_the_run_explains_itself(trained, phantoms):
    run, _ = trained
    assert {file.name for file in run.iterdir()} >= {
        *("run.json", "config", "train.log", "curves.png", "overlays.png", "metrics.csv", "model.pt", "last.pt"),
        "summary.md",
    }
    record = json.loads((run / "run.json").read_text())
    assert record["classes"] == ["anterior", "posterior"]
    assert (record["epochs"], record["seed"], record["data"]) == (2, 0, str(phantoms))
    assert record["versions"]["torch"] == torch.__version__.split("+")[0] or record["versions"]["torch"]
    rows = list(csv.DictReader((run / "metrics.csv").open()))
    assert list(rows[0]) == ["case", "metric", "anterior", "posterior", "mean"]
    assert len(rows) == 3
    assert "SemiSupervisedTrainer" in (run / "train.log").read_text()
    assert json.loads((run / "config" / "train.json").read_text())["max_epochs"] == 2
    summary = (run / "summary.md").read_text()
    mean = np.mean([float(row["mean"]) for row in rows])
    assert f"| mean | {mean:.3f} |" in summary


def test_the_bundles_own_evaluation_names_the_classes_too(trained):
    run, _ = trained
    (table,) = (run / "evaluation").glob("*_raw.csv")
    own = list(csv.DictReader(table.open()))
    ours = list(csv.DictReader((run / "metrics.csv").open()))
    for one, other in zip(own, ours, strict=True):
        assert float(one["anterior"]) == pytest.approx(float(other["anterior"]), abs=1e-4)
        assert float(one["posterior"]) == pytest.approx(float(other["posterior"]), abs=1e-4)


def test_the_next_command_works_when_it_is_typed(trained, phantoms):
    run, said = trained
    call(*command_of(said.splitlines()[-1].removeprefix("Next: ")))
    written = sorted(file.name for file in (run / "predictions").glob("*.nii.gz"))
    validation = json.loads((phantoms / "dataset.json").read_text())["validation"]
    assert written == sorted(Path(v["image"]).name.replace(".nii.gz", "_seg.nii.gz") for v in validation)


def test_evaluation_of_a_run_says_the_same_again(trained):
    run, said = trained
    again = call("evaluate", run)
    table = [line for line in said.splitlines() if line.startswith("│")]
    assert table
    assert [line for line in again.splitlines() if line.startswith("│")] == table
    assert (run / "evaluation" / "metrics.csv").read_text() == (run / "metrics.csv").read_text()
    assert (run / "evaluation" / "overlays.png").is_file()


def test_images_of_one_name_get_a_mask_each_on_their_own_grid(trained, phantoms, tmp_path):
    run, _ = trained
    validation = json.loads((phantoms / "dataset.json").read_text())["validation"]
    for patient, item in zip("AB", validation, strict=False):
        target = tmp_path / "in" / f"patient{patient}" / "t1.nii.gz"
        target.parent.mkdir(parents=True)
        target.write_bytes((phantoms / item["image"]).read_bytes())
    call("predict", run, "--input", tmp_path / "in", "--output", tmp_path / "out")
    for patient in "AB":
        image = nib.load(tmp_path / "in" / f"patient{patient}" / "t1.nii.gz")
        mask = nib.load(tmp_path / "out" / f"patient{patient}" / "t1_seg.nii.gz")
        assert mask.shape == image.shape
        np.testing.assert_allclose(mask.affine, image.affine, atol=1e-3)
    said = call("predict", run, "--input", tmp_path / "in", "--output", tmp_path / "out", status=2)
    assert "--overwrite empties it" in said
    one = tmp_path / "in" / "patientA" / "t1.nii.gz"
    call("predict", run, "--input", one, "--output", tmp_path / "out", "--overwrite")
    assert [f.name for f in (tmp_path / "out").rglob("*.nii.gz")] == ["t1_seg.nii.gz"]


def test_a_bundle_without_prototypes_explains_nothing(phantoms, tmp_path):
    said = call("explain", BUNDLE, "--input", phantoms, "--output", tmp_path / "out", status=2)
    assert "has no prototypes" in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "num_labeled=3"], "Did you mean '--set num_labelled'?"),
        (["--data", "/nowhere"], "--data /nowhere does not exist"),
        (["--set", "max_epochs"], "--set takes KEY=VALUE"),
        (["--resume"], "holds no run"),
        (["--set", "num_labelled=99", *QUICK], "num_labelled must be in 1 .. 8"),
    ],
)
def test_what_does_not_fit_is_said_and_leaves_no_run(phantoms, tmp_path, arguments, message):
    data = [] if "--data" in arguments else ["--data", phantoms]
    said = call("train", BUNDLE, *data, "--output", tmp_path / "run", *arguments, status=2)
    assert message in said
    assert "Traceback" not in said
    assert len(said.splitlines()) <= 6  # the number of threads, and what was wrong
    assert not (tmp_path / "run" / "run.json").exists()


def test_an_image_that_breaks_in_the_middle_of_an_epoch_is_named_and_the_run_goes_on_later(phantoms, tmp_path):
    import shutil

    data, run = tmp_path / "data", tmp_path / "run"
    shutil.copytree(phantoms, data)
    broken = data / json.loads((data / "dataset.json").read_text())["training"][5]["image"]
    whole = broken.read_bytes()
    broken.write_bytes(whole[: len(whole) // 2])
    said = call("train", BUNDLE, "--data", data, "--output", run, *QUICK, "--set", "cache_rate=0", status=2)
    assert broken.name in said
    assert "cannot be read" in said
    assert re.search(r"the state after epoch [01] \(last\.pt\) and no model yet", said)
    broken.write_bytes(whole)
    command = next(line for line in said.splitlines() if line.startswith("Go on with: ")).removeprefix("Go on with: ")
    assert "epoch 2/2: validation" in call(*command_of(command))
    assert (run / "summary.md").is_file()


def start(*arguments: object) -> subprocess.Popen:
    command = [sys.executable, "-m", "monai_proto", *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_a_stopped_run_says_what_is_saved_and_goes_on(phantoms, tmp_path, number):
    run = tmp_path / "run"
    many = [*QUICK, "--set", "max_epochs=500", "--set", "val_interval=1"]
    process = start("train", BUNDLE, "--data", phantoms, "--output", run, *many)
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("epoch 2/500: validation"):
            break
    process.send_signal(number)
    rest, _ = process.communicate(timeout=120)
    assert process.returncode == 130, "".join(lines) + rest
    assert re.search(r"Stopped\. Saved in .*: the state after epoch \d+ \(last\.pt\) and the best model", rest)
    assert "Traceback" not in rest
    (command,) = re.findall(r"Go on with: (.*)", rest)
    epoch = int(re.findall(r"after epoch (\d+)", rest)[0])
    said = call(*command_of(command), "--set", f"max_epochs={epoch + 1}")
    assert f"epoch {epoch + 1}/{epoch + 1}: validation" in said
    assert f"epoch {epoch}/" not in said


@pytest.mark.slow
def test_two_processes_train_one_run(phantoms, tmp_path):
    process = start("train", BUNDLE, "--data", phantoms, "--output", tmp_path / "run", "--processes", 2, *QUICK)
    said, _ = process.communicate(timeout=600)
    assert process.returncode == 0, said
    assert [line.partition(":")[0] for line in said.splitlines()[:2]] == ["Threads", "Data"]
    assert said.count("epoch 2/2: loss") == 1
    assert json.loads((tmp_path / "run" / "run.json").read_text())["processes"] == 2
    assert "Next: monai-proto predict" in said


@pytest.mark.slow
def test_an_error_in_one_of_two_processes_is_said(phantoms, tmp_path):
    settings = ("--processes", 2, *QUICK, "--set", "num_labelled=99")
    process = start("train", BUNDLE, "--data", phantoms, "--output", tmp_path / "run", *settings)
    said, _ = process.communicate(timeout=600)
    assert process.returncode == 1
    assert "num_labelled must be in 1 .. 8" in said
    assert "Traceback" not in said


def test_one_line_makes_the_trainer_of_a_bundle(phantoms, tmp_path):
    import monai_proto

    trainer = monai_proto.bundle(BUNDLE).trainer(
        data=phantoms, output=tmp_path, max_epochs=1, iterations_per_epoch=1, device=torch.device("cpu")
    )
    trainer.run()
    assert (tmp_path / "model.pt").is_file()
    with pytest.raises(ValueError, match=r"reads 'max_epoch'\. Did you mean 'max_epochs'"):
        monai_proto.bundle(BUNDLE).trainer(data=phantoms, output=tmp_path, max_epoch=1)
    with pytest.raises(ValueError, match="resume=True, replace it by overwrite=True, or name another output"):
        monai_proto.bundle(BUNDLE).trainer(data=phantoms, output=tmp_path)
    with pytest.raises(ValueError, match=r"^num_labelled must be in 1 \.\. 8"):
        monai_proto.bundle(BUNDLE).trainer(data=phantoms, output=tmp_path, num_labelled=99, overwrite=True)
