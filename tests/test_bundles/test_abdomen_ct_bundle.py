"""The abdominal CT bundle through MONAI's own bundle runner, on phantoms and on real CT."""

from __future__ import annotations

import csv
import json
from functools import partial
from pathlib import Path

import monai.bundle
import nibabel as nib
import numpy as np
import pytest
import torch
from bundle_runner import TORCHRUN, run_bundle
from monai.bundle import ConfigWorkflow

from monai_proto.phantoms import make_ct_phantom, write_ct_phantom_dataset

BUNDLE = Path(__file__).parents[2] / "bundles" / "abdomen_ct_semisupervised"
ORGANS = ["liver", "spleen", "left_kidney", "right_kidney", "aorta"]
SMALL = {"pixdim": [8.0, 8.0, 8.0], "patch_size": [32, 32, 16]}
QUICK = {"max_epochs": 2, "iterations_per_epoch": 2, "val_interval": 1, **SMALL}

run_bundle = partial(run_bundle, BUNDLE)


def run_here(configs: list[str], **overrides) -> None:
    """The runner in this process, which saves half of a minute for every error that is looked at."""
    files = [str(BUNDLE / "configs" / name) for name in configs]
    meta_file = str(BUNDLE / "configs" / "metadata.json")
    arguments = {name: str(value) if isinstance(value, Path) else value for name, value in overrides.items()}
    monai.bundle.run(
        config_file=files,
        meta_file=meta_file,
        logging_file=False,
        bundle_root=str(BUNDLE),
        **{"device": "cpu"} | arguments,
    )


def error_of(*arguments, **overrides) -> str:
    """Messages of the error that a run ends with, and of its causes."""
    with pytest.raises((RuntimeError, ValueError)) as caught:
        run_here(*arguments, **overrides)
    error, messages = caught.value, []
    while error is not None:
        messages.append(str(error))
        error = error.__cause__
    return "\n".join(messages)


def link_dataset(source: Path, folder: Path, **changes) -> Path:
    """A data set with the same volumes and a changed data list."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("imagesTr", "labelsTr"):
        (folder / name).symlink_to(source / name)
    content = json.loads((source / "dataset.json").read_text())
    (folder / "dataset.json").write_text(json.dumps({**content, **changes}))
    return folder


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("phantoms") / "ct"
    write_ct_phantom_dataset(folder, num_training=8, num_validation=2, voxel_size_mm=8.0)
    return folder


@pytest.fixture(scope="module")
def trained(phantoms, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    run_bundle(["train.json"], dataset_dir=phantoms, ckpt_dir=folder, output_dir=folder / "log", **QUICK)
    return folder


def test_training_leaves_checkpoints_logs_and_the_names_of_the_classes(trained):
    best = torch.load(trained / "model.pt", weights_only=True)
    last = torch.load(trained / "last.pt", weights_only=True)
    assert set(best["model"]) == set(last["teacher"])
    assert best["bank"]["rows"].shape == last["terms"]["contrastive.memory.bank.rows"].shape
    assert best["bank"]["counts"].sum() > 0
    assert last["trainer"]["iteration"] == 4
    assert last["terms"]["contrastive.memory.bank.rows"].shape == (6, 32, 32)
    assert list((trained / "log").glob("events.out.tfevents*"))
    prediction = json.loads((trained / "metadata.json").read_text())["network_data_format"]["outputs"]["pred"]
    assert list(prediction["channel_def"].values()) == ["background", *ORGANS]


def test_evaluation_writes_the_dice_of_every_case_under_the_names_of_the_organs(trained, phantoms, tmp_path):
    run_here(["train.json", "evaluate.json"], dataset_dir=phantoms, ckpt_dir=trained, output_dir=tmp_path, **SMALL)
    rows = list(csv.DictReader((tmp_path / "val_mean_dice_raw.csv").read_text().splitlines()))
    validation = json.loads((phantoms / "dataset.json").read_text())["validation"]
    assert [Path(row["filename"]).name for row in rows] == [Path(item["image"]).name for item in validation]
    assert list(rows[0]) == ["filename", *ORGANS, "mean"]


def test_inference_writes_masks_on_the_grid_of_the_images(trained, phantoms, tmp_path):
    overrides = {"ckpt_path": trained / "model.pt", "output_dir": tmp_path, **SMALL}
    run_bundle(["inference.json"], dataset_dir=phantoms, **overrides)
    for item in json.loads((phantoms / "dataset.json").read_text())["validation"]:
        image = nib.load(phantoms / item["image"])
        mask = nib.load(tmp_path / Path(item["image"]).name.replace(".nii.gz", "_seg.nii.gz"))
        assert mask.shape == image.shape
        assert mask.get_data_dtype() == np.uint8
        np.testing.assert_allclose(mask.affine, image.affine, atol=1e-3)
        assert set(np.unique(mask.dataobj)) <= set(range(6))


def test_resumed_training_equals_an_uninterrupted_one(trained, phantoms, tmp_path):
    paths = {"dataset_dir": phantoms, "ckpt_dir": tmp_path, "output_dir": tmp_path / "log"}
    # the schedule of the learning rate is that of two epochs in both runs
    run_here(["train.json"], **paths, **{**QUICK, "train#trainer#max_epochs": 1})
    printed = run_bundle(["train.json"], **paths, **QUICK, resume=True)
    assert "Goes on after epoch 1 of 2" in printed
    whole, resumed = (torch.load(folder / "last.pt", weights_only=True) for folder in (trained, tmp_path))
    for part in ("network", "teacher", "terms"):
        for name, value in whole[part].items():
            assert torch.equal(value, resumed[part][name]), f"{part} {name}"


def test_two_processes_train(phantoms, tmp_path):
    """The multi-GPU configuration under torchrun with gloo."""
    paths = {"dataset_dir": phantoms, "ckpt_dir": tmp_path, "output_dir": tmp_path / "log"}
    run_bundle(["train.json", "multi_gpu_train.json"], launcher=TORCHRUN, **paths, **QUICK)
    assert torch.load(tmp_path / "last.pt", weights_only=True)["trainer"]["iteration"] == 4
    assert (tmp_path / "model.pt").is_file()
    assert (tmp_path / "metadata.json").is_file()


def test_supervised_overlay_trains_without_unlabelled_images(phantoms, tmp_path):
    run_here(
        ["train.json", "supervised_train.json"], dataset_dir=phantoms, ckpt_dir=tmp_path, output_dir=tmp_path, **QUICK
    )
    terms = torch.load(tmp_path / "last.pt", weights_only=True)["terms"]
    assert terms["contrastive.memory.bank.counts"].sum() == 0
    assert (tmp_path / "model.pt").is_file()


def test_the_classes_of_another_data_set_reach_training_inference_and_metadata(phantoms, tmp_path):
    """Of the organs only liver and spleen are kept: nothing but dataset_dir and ckpt_path is said."""
    dataset = link_dataset(phantoms, tmp_path / "two", labels={"0": "background", "1": "liver", "2": "spleen"})
    (dataset / "labelsTr").unlink()
    (dataset / "labelsTr").mkdir()
    for file in (phantoms / "labelsTr").iterdir():
        label = nib.load(file)
        values = np.asarray(label.dataobj)
        nib.save(nib.Nifti1Image(np.where(values <= 2, values, 0), label.affine), dataset / "labelsTr" / file.name)
    run = tmp_path / "run"
    run_here(["train.json"], dataset_dir=dataset, ckpt_dir=run, output_dir=tmp_path, **QUICK)
    metadata = json.loads((run / "metadata.json").read_text())
    assert metadata["label_classes"] == "0 background, 1 liver, 2 spleen"
    assert set(metadata["dicom_segments"]) == {"1", "2"}
    run_here(
        ["inference.json"], dataset_dir=dataset, ckpt_path=run / "model.pt", output_dir=tmp_path / "masks", **SMALL
    )
    masks = list((tmp_path / "masks").glob("*_seg.nii.gz"))
    assert len(masks) == 2
    assert all(np.asarray(nib.load(mask).dataobj).max() <= 2 for mask in masks)


def test_the_weights_that_ship_segment_a_new_phantom(tmp_path):
    phantom = make_ct_phantom(seed=77)
    (tmp_path / "in").mkdir()
    nib.save(nib.Nifti1Image(phantom.image, phantom.affine), tmp_path / "in" / "ct.nii.gz")
    run_here(["inference.json"], dataset_dir=tmp_path / "in", output_dir=tmp_path)
    mask = np.asarray(nib.load(tmp_path / "ct_seg.nii.gz").dataobj)
    for value, organ in enumerate(ORGANS, start=1):
        found, given = mask == value, phantom.label == value
        assert 2 * (found & given).sum() / (found.sum() + given.sum()) > 0.5, organ


@pytest.mark.parametrize(
    ("overrides", "changes", "message"),
    [
        ({"num_labelled": 99}, {}, "num_labelled"),
        ({"dataset_dir": "/nowhere"}, {}, "/nowhere"),
        ({"num_labelled": 7}, {}, "unlabelled data set has"),
        ({}, {"labels": {"0": "background", "1": "liver"}}, "labels are integers in 0 .. 1"),
        ({}, {"labels": {"0": "background", "2": "liver"}}, "numbered without a gap"),
        ({"num_classes": 7}, {}, "num_classes is 7, but label_names has 6"),
    ],
)
def test_bad_input_is_named(phantoms, tmp_path, overrides, changes, message):
    dataset = link_dataset(phantoms, tmp_path / "data", **changes)
    arguments = {"dataset_dir": dataset, "ckpt_dir": tmp_path, "output_dir": tmp_path, **QUICK, **overrides}
    assert message in error_of(["train.json"], **arguments)


@pytest.mark.parametrize("config", ["train.json", "inference.json"])
def test_a_truncated_volume_is_named(phantoms, trained, tmp_path, config):
    dataset = link_dataset(phantoms, tmp_path / "data")
    content = json.loads((phantoms / "dataset.json").read_text())
    part = "training" if config == "train.json" else "validation"
    (dataset / "cut.nii.gz").write_bytes((phantoms / content[part][0]["image"]).read_bytes()[:3000])
    content[part][0]["image"] = "cut.nii.gz"
    (dataset / "dataset.json").write_text(json.dumps(content))
    folders = {"ckpt_dir": tmp_path} if config == "train.json" else {"ckpt_path": trained / "model.pt"}
    sizes = QUICK if config == "train.json" else SMALL
    message = error_of([config], dataset_dir=dataset, output_dir=tmp_path / "out", **folders, **sizes)
    assert f"image file {dataset / 'cut.nii.gz'} cannot be read" in message
    assert not list((tmp_path / "out").glob("*_seg.nii.gz"))


def test_checkpoint_of_another_class_count_is_named(trained, phantoms, tmp_path):
    arguments = {"dataset_dir": phantoms, "ckpt_path": trained / "model.pt", "output_dir": tmp_path}
    assert f"checkpoint {trained / 'model.pt'} does not fit" in error_of(["inference.json"], num_classes=4, **arguments)


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


@pytest.mark.real_data
def test_real_ct_goes_through_training_and_inference(real_data_root, tmp_path):
    """Steps of training with a model's labels as a stand-in, then every real CT: masks lie on the images' grids."""
    source, dataset = real_data_root / "ct", tmp_path / "data"
    for name in ("imagesTr", "labelsTr"):
        (dataset / name).mkdir(parents=True)
    organs = {5: 1, 1: 2, 3: 3, 2: 4}  # liver, spleen, left and right kidney of the given label maps
    items = []
    for case in ("ts_ct_body3mm", "ts_ct_abdomen3mm", "ts_ct_dicom_512"):
        item = {"image": f"imagesTr/{case}.nii.gz", "label": f"labelsTr/{case}.nii.gz", "patient_id": case}
        (dataset / item["image"]).symlink_to(source / "images" / f"{case}.nii.gz")
        label = nib.load(source / "labels" / f"{case}.nii.gz")
        values = np.asarray(label.dataobj)
        merged = sum(np.uint8(new) * (values == old) for old, new in organs.items()).astype(np.uint8)
        nib.save(nib.Nifti1Image(merged, label.affine), dataset / item["label"])
        items.append(item)
    unlabelled = []
    for case in ("ts_ct_aorta1p5mm", "ts_ct_heart1p5mm", "elastix_ct_lung"):
        unlabelled.append({"image": f"imagesTr/{case}.nii.gz", "patient_id": case})
        (dataset / unlabelled[-1]["image"]).symlink_to(source / "images" / f"{case}.nii.gz")
    labels = dict(enumerate(["background", *ORGANS[:4]]))
    content = {"labels": labels, "training": items[:2], "validation": items[2:], "unlabelled": unlabelled}
    (dataset / "dataset.json").write_text(json.dumps(content))

    sizes = {"pixdim": [3.0, 3.0, 4.0], "patch_size": [48, 48, 16]}
    run = tmp_path / "run"
    run_here(
        ["train.json"], dataset_dir=dataset, ckpt_dir=run, output_dir=tmp_path, **{**QUICK, **sizes}, num_labelled=2
    )
    folder = tmp_path / "in"
    folder.mkdir()
    cases = [file for file in sorted((source / "images").glob("*.nii.gz")) if "_mr_" not in file.name]
    assert len(cases) == 7
    for file in cases:
        (folder / file.name).symlink_to(file)
    run_here(["inference.json"], dataset_dir=folder, ckpt_path=run / "model.pt", output_dir=tmp_path / "masks", **sizes)
    for file in cases:
        image, mask = nib.load(file), nib.load(tmp_path / "masks" / file.name.replace(".nii.gz", "_seg.nii.gz"))
        assert mask.shape == image.shape
        np.testing.assert_allclose(mask.affine, image.affine, atol=1e-3)
        assert set(np.unique(mask.dataobj)) <= set(range(5))
