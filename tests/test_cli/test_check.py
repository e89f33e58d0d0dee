"""Each thing that can be wrong with a training is said before it starts."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from monai_proto.cli.main import app
from monai_proto.phantoms import write_mri_phantom_dataset

HIPPOCAMPUS = "hippocampus_mri_semisupervised"
BUNDLE = Path(__file__).parents[2] / "bundles" / HIPPOCAMPUS


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("phantoms") / "mri"
    write_mri_phantom_dataset(folder, num_training=5, num_validation=2)
    return folder


def changed(phantoms: Path, folder: Path, **changes) -> Path:
    folder.mkdir()
    for name in ("imagesTr", "labelsTr"):
        (folder / name).symlink_to(phantoms / name)
    content = json.loads((phantoms / "dataset.json").read_text())
    (folder / "dataset.json").write_text(json.dumps({**content, **changes}))
    return folder


def invoke(*words: str | Path):
    return CliRunner().invoke(app, ["check", *map(str, words)])


def test_what_fits_is_said_with_counts_classes_and_memory(phantoms):
    result = invoke(HIPPOCAMPUS, "--data", phantoms, "--set", "num_labelled=2", "--json")
    found = {item["what"]: item for item in json.loads(result.stdout)}
    assert result.exit_code == 0
    assert found["data list"]["text"] == f"{phantoms} (2 labelled, 3 unlabelled, 2 validation)"
    assert found["classes"]["text"] == "background, anterior, posterior"
    assert found["weights"]["state"] == "ok"
    assert "activations of a batch (4, 1, 32, 48, 32)" in found["memory"]["text"]
    assert "Everything fits." in invoke(HIPPOCAMPUS, "--data", phantoms, "--set", "num_labelled=2").stdout


def test_memory_grows_with_the_patch(phantoms):
    def gigabytes(patch: str) -> float:
        result = invoke(HIPPOCAMPUS, "--data", phantoms, "--set", f"patch_size={patch}", "--json")
        text = json.loads(result.stdout)[-1]["text"]
        return float(text.partition("teacher, ")[2].split()[0])

    assert gigabytes("[64, 96, 64]") == pytest.approx(8 * gigabytes("[32, 48, 32]"), rel=0.1)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--data", "/nowhere"], "The data folder /nowhere does not exist"),
        (["--set", "num_labeled=2"], "Did you mean '--set num_labelled'?"),
        (["--set", "max_epochs=many"], "--set max_epochs must be a whole number"),
        (["--set", "num_labelled=99"], "num_labelled must be in 1 .. 5"),
        (["--set", "num_labelled=5"], "leaves no unlabelled case"),
        (["--set", "num_classes=7"], "The data list has 3 classes (background, anterior, posterior)"),
        (["--set", f"ckpt_dir={BUNDLE}/LICENSE/run"], "LICENSE/run cannot be written"),
        (["--set", "feature_dim=8", "--weights", str(BUNDLE / "models" / "model.pt")], "does not fit"),
        (["--weights", "/nowhere/model.pt"], "There are none at /nowhere/model.pt"),
        (["--set", "num_labelled"], "--set takes KEY=VALUE, such as max_epochs=4, got 'num_labelled'"),
    ],
)
def test_what_does_not_fit_is_said_with_status_2(phantoms, words, said):
    if "/nowhere" not in words or "--weights" in words:
        words = ["--data", str(phantoms), *words]
    result = invoke(HIPPOCAMPUS, *words)
    assert result.exit_code == 2
    assert said in " ".join(result.output.split())
    assert "Traceback" not in result.output


def test_classes_in_another_order_than_the_weights_are_noted(phantoms, tmp_path):
    swapped = changed(phantoms, tmp_path / "data", labels={"0": "background", "1": "posterior", "2": "anterior"})
    found = {item["what"]: item for item in json.loads(invoke(HIPPOCAMPUS, "--data", swapped, "--json").stdout)}
    assert found["classes"]["state"] == "note"
    assert "in another order: background, anterior, posterior" in found["classes"]["text"]


def test_a_missing_image_is_named(phantoms, tmp_path):
    items = json.loads((phantoms / "dataset.json").read_text())["training"]
    items[0]["image"] = "imagesTr/none.nii.gz"
    result = invoke(HIPPOCAMPUS, "--data", changed(phantoms, tmp_path / "data", training=items))
    assert result.exit_code == 2
    assert "none.nii.gz" in result.output


def test_a_broken_configuration_is_named(tmp_path):
    broken = tmp_path / "bundle"
    shutil.copytree(BUNDLE, broken, ignore=shutil.ignore_patterns("models"))
    (broken / "configs" / "evaluate.json").write_text("{")
    result = invoke(broken)
    assert result.exit_code == 2
    assert "evaluate.json is not valid JSON" in result.output


def test_the_weights_of_one_run_fit_another(phantoms, tmp_path):
    content = torch.load(BUNDLE / "models" / "model.pt", weights_only=True)
    torch.save({"model": content}, tmp_path / "model.pt")
    result = invoke(HIPPOCAMPUS, "--data", phantoms, "--weights", tmp_path / "model.pt")
    assert "tensors fit" in result.output
