"""The dermoscopy bundle through MONAI's own bundle runner, on phantoms and on real images."""

from __future__ import annotations

import csv
import json
from functools import partial
from pathlib import Path

import pytest
import torch
from bundle_runner import TORCHRUN, run_bundle
from monai.bundle import ConfigWorkflow

from monai_proto.data import write_dermoscopy_phantom_dataset

BUNDLE = Path(__file__).parents[2] / "bundles" / "dermoscopy_prototype_classification"
QUICK = {
    "max_epochs": 3,
    "warm_up_epochs": 1,
    "last_layer_epochs": 1,
    "push_start_epoch": 1,
    "push_interval": 1,
    "image_size": "[64, 96]",
    "batch_size": 8,
    "num_prototypes": 2,
}

run_bundle = partial(run_bundle, BUNDLE)


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("phantoms") / "dermoscopy"
    write_dermoscopy_phantom_dataset(folder, num_training=21, num_validation=7, num_test=7)
    return folder


@pytest.fixture(scope="module")
def trained(phantoms, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    printed = run_bundle(["train.json"], dataset_dir=phantoms, ckpt_dir=folder, output_dir=folder / "log", **QUICK)
    for stage in ("warm_up", "joint", "last_layer"):
        assert f"stage {stage}" in printed
    return folder


def test_training_leaves_a_model_whose_prototypes_are_training_patches(trained, phantoms):
    model = torch.load(trained / "model.pt", weights_only=True)
    valid = model["head.bank.valid_mask"]
    assert (model["head.bank.provenance.epochs"][valid] == 2).all()
    assert (model["head.bank.provenance.distances"][valid] < 1e-4).all()
    assert torch.load(trained / "last.pt", weights_only=True)["trainer"]["iteration"] == 6
    ids = {bytes(row.tolist()).rstrip(b"\0").decode() for row in model["head.bank.provenance.image_ids"][valid]}
    assert ids <= {item["image_id"] for item in json.loads((phantoms / "dataset.json").read_text())["training"]}
    assert len(list((trained / "prototypes").glob("*.png"))) == len(ids)
    assert (trained / "log" / "gallery.png").is_file()


def test_evaluation_writes_answers_figures_and_a_report(trained, phantoms, tmp_path):
    run_bundle(
        ["train.json", "evaluate.json"],
        dataset_dir=phantoms,
        ckpt_dir=trained,
        output_dir=tmp_path,
        most_figures=2,
        **QUICK,
    )
    rows = list(csv.DictReader((tmp_path / "predictions.csv").read_text().splitlines()))
    test = json.loads((phantoms / "dataset.json").read_text())["test"]
    assert [row["image_id"] for row in rows] == [item["image_id"] for item in test]
    names = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
    for row in rows:
        probabilities = {name: float(row[name]) for name in names}
        assert sum(probabilities.values()) == pytest.approx(1, abs=1e-4)
        assert max(probabilities, key=probabilities.get) == row["answer"]
        assert row["abstained"] == ("yes" if float(row["uncertainty"]) > 0.5 else "no")
    reasons = json.loads((tmp_path / "explanations.json").read_text())
    assert all(reason["supporting"][0]["source"]["epoch"] == 2 for reason in reasons if reason["supporting"])
    assert len(list((tmp_path / "explanations").glob("*.png"))) == 2
    assert "gallery.png" in (tmp_path / "report.html").read_text()
    assert (tmp_path / "metrics.csv").is_file()


def test_inference_explains_one_image(trained, phantoms, tmp_path):
    image = phantoms / json.loads((phantoms / "dataset.json").read_text())["test"][0]["image"]
    overrides = {name: QUICK[name] for name in ("image_size", "num_prototypes")}
    run_bundle(["inference.json"], dataset_dir=image, ckpt_path=trained / "model.pt", output_dir=tmp_path, **overrides)
    assert len((tmp_path / "predictions.csv").read_text().splitlines()) == 2
    assert len(list((tmp_path / "explanations").glob(f"{image.stem}_*.png"))) == 1


def test_the_weights_that_ship_answer(tmp_path, phantoms):
    run_bundle(["inference.json"], dataset_dir=phantoms, output_dir=tmp_path, draw="none")
    rows = list(csv.DictReader((tmp_path / "predictions.csv").read_text().splitlines()))
    items = json.loads((phantoms / "dataset.json").read_text())
    names = items["labels"]
    right = [row["answer"] == names[str(item["label"])] for row, item in zip(rows, items["test"], strict=True)]
    assert sum(right) >= 5


def test_resumed_training_equals_an_uninterrupted_one(trained, phantoms, tmp_path):
    paths = {"dataset_dir": phantoms, "ckpt_dir": tmp_path, "output_dir": tmp_path / "log"}
    # the stages and the schedule of the learning rate are those of three epochs in both runs
    stop = {"train#trainer#max_epochs": 2, "train#handlers#2#last_layer_epochs": 0}
    run_bundle(["train.json"], **paths, **{**QUICK, **stop})
    printed = run_bundle(["train.json"], **paths, **QUICK, resume=True)
    assert "Goes on after epoch 2 of 3" in printed
    whole, resumed = (torch.load(folder / "last.pt", weights_only=True) for folder in (trained, tmp_path))
    for part in ("network", "prototype_loss"):
        for name, value in whole[part].items():
            assert torch.equal(value, resumed[part][name]), f"{part} {name}"


def test_two_processes_train(phantoms, tmp_path):
    """The multi-GPU configuration under torchrun with gloo."""
    run_bundle(
        ["train.json", "multi_gpu_train.json"],
        launcher=TORCHRUN,
        dataset_dir=phantoms,
        ckpt_dir=tmp_path,
        output_dir=tmp_path / "log",
        **QUICK,
    )
    model = torch.load(tmp_path / "model.pt", weights_only=True)
    valid = model["head.bank.valid_mask"]
    assert (model["head.bank.provenance.epochs"][valid] == 2).all()
    assert (tmp_path / "log" / "gallery.png").is_file()


@pytest.mark.parametrize(
    ("config", "overrides", "message"),
    [
        ("train.json", {"dataset_dir": "/nowhere"}, "/nowhere"),
        ("train.json", {"num_classes": 3}, "label"),
        ("train.json", {"num_prototypes": 99}, "num_prototypes must be at most max_prototypes 10, got 99"),
        ("train.json", {"min_size": 5000}, "5000"),
        ("inference.json", {"ckpt_path": "/nowhere/model.pt"}, "/nowhere/model.pt"),
        ("inference.json", {"embedding_dim": 32}, "does not fit"),
    ],
)
def test_bad_input_is_named(phantoms, tmp_path, config, overrides, message):
    folders = {"ckpt_dir": tmp_path} if config == "train.json" else {}
    arguments = {"dataset_dir": phantoms, "output_dir": tmp_path, **folders, **overrides}
    assert message in run_bundle([config], expect_success=False, **arguments)


def test_a_truncated_photograph_is_named(phantoms, tmp_path):
    image = phantoms / json.loads((phantoms / "dataset.json").read_text())["test"][0]["image"]
    (tmp_path / "cut.jpg").write_bytes(image.read_bytes()[:2000])
    printed = run_bundle(["inference.json"], False, dataset_dir=tmp_path, output_dir=tmp_path / "out")
    assert "cut.jpg" in printed
    assert not (tmp_path / "out" / "predictions.csv").exists()


@pytest.mark.real_data
def test_real_images(trained, real_data_root, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for image in sorted((real_data_root / "ham10000" / "images").glob("*.jpg"))[:3]:
        (folder / image.name).symlink_to(image)
    run_bundle(["inference.json"], dataset_dir=folder, output_dir=tmp_path, draw="none")
    assert len((tmp_path / "predictions.csv").read_text().splitlines()) == 4


@pytest.mark.parametrize(("kind", "config"), [("train", "train.json"), ("infer", "inference.json")])
def test_bundle_properties_are_complete(phantoms, tmp_path, kind, config):
    workflow = ConfigWorkflow(
        config_file=str(BUNDLE / "configs" / config),
        meta_file=str(BUNDLE / "configs" / "metadata.json"),
        workflow_type=kind,
        bundle_root=str(BUNDLE),
        dataset_dir=str(phantoms),
        output_dir=str(tmp_path),
    )
    workflow.initialize()
    assert not workflow.check_properties()
