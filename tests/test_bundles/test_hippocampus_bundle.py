"""The hippocampus bundle through MONAI's own bundle runner, on phantoms and on real data."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from bundle_runner import TORCHRUN, run_bundle
from monai.bundle import ConfigWorkflow

from monai_proto.phantoms import write_mri_phantom_dataset

BUNDLE = Path(__file__).parents[2] / "bundles" / "hippocampus_mri_semisupervised"
QUICK = {"max_epochs": 2, "iterations_per_epoch": 2, "val_interval": 1}

run_bundle = partial(run_bundle, BUNDLE)


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("phantoms") / "mri"
    write_mri_phantom_dataset(folder, num_training=8, num_validation=2)
    return folder


@pytest.fixture(scope="module")
def trained(phantoms, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    run_bundle(["train.json"], dataset_dir=phantoms, ckpt_dir=folder, output_dir=folder / "log", **QUICK)
    return folder


def test_training_leaves_the_best_and_the_last_checkpoint_and_logs(trained):
    best = torch.load(trained / "model.pt", weights_only=True)
    last = torch.load(trained / "last.pt", weights_only=True)
    assert set(best["model"]) == set(last["teacher"])
    assert best["bank"]["rows"].shape == last["terms"]["contrastive.memory.bank.rows"].shape
    assert best["bank"]["counts"].sum() > 0
    assert last["trainer"]["iteration"] == 4
    assert last["terms"]["contrastive.memory.bank.rows"].shape == (3, 32, 32)
    assert list((trained / "log").glob("events.out.tfevents*"))


def test_evaluation_writes_the_dice_of_every_case(trained, phantoms, tmp_path):
    run_bundle(
        ["train.json", "evaluate.json"], dataset_dir=phantoms, ckpt_dir=trained, output_dir=tmp_path / "evaluation"
    )
    rows = (tmp_path / "evaluation" / "val_mean_dice_raw.csv").read_text().splitlines()
    validation = json.loads((phantoms / "dataset.json").read_text())["validation"]
    assert [Path(row.split(",")[0]).name for row in rows[1:]] == [Path(v["image"]).name for v in validation]


def test_inference_writes_masks_on_the_grid_of_the_images(trained, phantoms, tmp_path):
    run_bundle(["inference.json"], dataset_dir=phantoms, ckpt_path=trained / "model.pt", output_dir=tmp_path)
    for item in json.loads((phantoms / "dataset.json").read_text())["validation"]:
        image = nib.load(phantoms / item["image"])
        mask = nib.load(tmp_path / Path(item["image"]).name.replace(".nii.gz", "_seg.nii.gz"))
        assert mask.shape == image.shape
        np.testing.assert_allclose(mask.affine, image.affine, atol=1e-3)
        assert set(np.unique(mask.get_fdata())) <= {0, 1, 2}


def test_resumed_training_equals_an_uninterrupted_one(trained, phantoms, tmp_path):
    paths = {"dataset_dir": phantoms, "ckpt_dir": tmp_path, "output_dir": tmp_path / "log"}
    # the schedule of the learning rate is that of two epochs in both runs
    run_bundle(["train.json"], **paths, **{**QUICK, "train#trainer#max_epochs": 1})
    printed = run_bundle(["train.json"], **paths, **QUICK, resume=True)
    assert "Goes on after epoch 1 of 2" in printed
    whole, resumed = (torch.load(folder / "last.pt", weights_only=True) for folder in (trained, tmp_path))
    for part in ("network", "teacher", "terms"):
        for name, value in whole[part].items():
            assert torch.equal(value, resumed[part][name]), f"{part} {name}"


def test_supervised_overlay_trains_without_unlabelled_images(phantoms, tmp_path):
    printed = run_bundle(
        ["train.json", "supervised_train.json"],
        dataset_dir=phantoms,
        ckpt_dir=tmp_path,
        output_dir=tmp_path,
        **QUICK,
    )
    assert "SupervisedTrainer" in printed
    assert (tmp_path / "model.pt").is_file()


def test_two_processes_train_to_the_same_weights(phantoms, tmp_path):
    """The multi-GPU configuration under torchrun with gloo."""
    paths = {"dataset_dir": phantoms, "ckpt_dir": tmp_path, "output_dir": tmp_path / "log"}
    run_bundle(["train.json", "multi_gpu_train.json"], launcher=TORCHRUN, **paths, **QUICK)
    assert torch.load(tmp_path / "last.pt", weights_only=True)["trainer"]["iteration"] == 4
    assert (tmp_path / "model.pt").is_file()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"num_labelled": 99}, "num_labelled"),
        ({"dataset_dir": "/nowhere"}, "/nowhere"),
        ({"num_labelled": 7}, "unlabelled data set has"),
        ({"num_classes": 2}, "labels are integers in 0 .. 1"),
    ],
)
def test_bad_input_is_named(phantoms, tmp_path, overrides, message):
    arguments = {"dataset_dir": phantoms, "ckpt_dir": tmp_path, "output_dir": tmp_path, **QUICK, **overrides}
    assert message in run_bundle(["train.json"], expect_success=False, **arguments)


def test_checkpoint_of_another_class_count_is_named(trained, phantoms, tmp_path):
    printed = run_bundle(
        ["inference.json"],
        expect_success=False,
        dataset_dir=phantoms,
        ckpt_path=trained / "model.pt",
        output_dir=tmp_path,
        num_classes=5,
    )
    assert f"checkpoint {trained / 'model.pt'} does not fit" in printed


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
    assert workflow.check_properties() == []


@pytest.mark.real_data
def test_trains_on_a_real_decathlon_folder(real_data_root, tmp_path):
    source = real_data_root / "hippocampus"
    content = json.loads((source / "dataset.json").read_text())
    for name in ("imagesTr", "labelsTr", "subjects.csv"):
        (tmp_path / name).symlink_to(source / name)
    content["training"], content["validation"] = content["training"][:9], content["validation"][:3]
    (tmp_path / "dataset.json").write_text(json.dumps(content))
    run_bundle(["train.json"], dataset_dir=tmp_path, ckpt_dir=tmp_path / "run", output_dir=tmp_path / "log", **QUICK)
    assert (tmp_path / "run" / "model.pt").is_file()
