"""The bundle for slices of CT and MR volumes through MONAI's own bundle runner, with a tiny model."""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from bundle_here import failure_of, run_bundle_here
from bundle_runner import TORCHRUN, run_bundle
from PIL import Image

pytest.importorskip("segment_anything", reason="segment-anything is not installed (extra sam)")
pytest.importorskip("timm", reason="timm is not installed (extra sam)")

from tiny_sam import tiny_lite_medsam

from monai_proto.data import load_boxed_slices
from monai_proto.phantoms import write_ct_phantom_dataset, write_mri_phantom_dataset

TESTS = Path(__file__).parents[1]
BUNDLE = TESTS.parent / "bundles" / "ct_mr_slice_sam_weak_segmentation"
QUICK = {"max_epochs": 2, "num_training": 6, "num_pictures": 2, "max_entropy": 0.7, "labels": "1+2"}

run_bundle, run_here, failure_of = (partial(run, BUNDLE) for run in (run_bundle, run_bundle_here, failure_of))


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory) -> Path:
    """MR crops, whose affines differ in their axes."""
    folder = tmp_path_factory.mktemp("phantoms") / "mri"
    write_mri_phantom_dataset(folder, num_training=7, num_validation=2)
    return folder


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> str:
    """Configuration on top of the bundle's: a tiny segmenter, MR."""
    file = tmp_path_factory.mktemp("tiny") / "tiny.json"
    file.write_text(json.dumps({"sam": {"_target_": "tiny_sam.tiny_lite_medsam"}, "amp": False, "modality": "mr"}))
    return str(file)


@pytest.fixture(autouse=True, scope="module")
def _subprocesses_find_the_tiny_segmenter():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(TESTS))
        yield


@pytest.fixture(scope="module")
def trained(phantoms, tiny, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    run_bundle(["train.json", tiny], dataset_dir=phantoms, ckpt_dir=folder, output_dir=folder / "log", **QUICK)
    return folder


def test_training_leaves_checkpoints_and_pictures(trained):
    best, last = (torch.load(trained / name, weights_only=True) for name in ("model.pt", "last.pt"))
    before = tiny_lite_medsam().image_encoder.state_dict()
    for checkpoint in (best, last):
        after = checkpoint["sam_image_encoder"]
        moved = {name for name in before if not torch.equal(before[name], after[name])}
        assert moved
        assert all(name.startswith(("layers.3", "neck")) for name in moved)
    assert last["trainer"]["iteration"] == 6
    for name in ("pictures_epoch_002.png", "before_after.png"):
        with Image.open(trained / "log" / name) as picture:
            assert min(picture.size) > 300


def test_evaluation_writes_the_overlap_of_every_slice(trained, phantoms, tiny, tmp_path):
    overrides = {"dataset_dir": phantoms, "ckpt_dir": trained, "output_dir": tmp_path, "labels": "1+2"}
    run_bundle(["train.json", "evaluate.json", tiny], **overrides)
    rows = (tmp_path / "val_mean_iou_raw.csv").read_text().splitlines()
    expected = [item["image_id"] for item in load_boxed_slices(phantoms, labels="1+2")["validation"]]
    assert [row.split(",")[0] for row in rows[1:]] == expected
    assert all("_axis" in name for name in expected)


def test_inference_puts_masks_back_into_their_volumes(trained, phantoms, tiny, tmp_path):
    """A whole volume of prompts, boxes in some slices and points in another."""
    name = json.loads((phantoms / "dataset.json").read_text())["validation"][0]["image"]
    image = nib.load(phantoms / name)
    side = [size for axis, size in enumerate(image.shape) if axis != 1]
    box = [2, 2, side[1] - 2, side[0] - 2]
    prompts = [{"slice": [3, 6], "box": box}, {"slice": 9, "points": [[10, 10], [1, 1]], "point_labels": [1, 0]}]
    (tmp_path / "prompts.json").write_text(json.dumps({Path(name).name: prompts}))
    overrides = {"ckpt_path": trained / "model.pt", "output_dir": tmp_path / "masks", "axis": 1}
    run_bundle(
        ["inference.json", tiny], dataset_dir=phantoms / "imagesTr", prompts=tmp_path / "prompts.json", **overrides
    )
    mask = nib.load(tmp_path / "masks" / Path(name).name.replace(".nii.gz", "_mask.nii.gz"))
    voxels = np.asarray(mask.dataobj)
    assert voxels.shape == image.shape
    np.testing.assert_allclose(mask.affine, image.affine, atol=1e-4)
    assert set(np.unique(voxels)) == {0, 1}
    assert set(np.flatnonzero(voxels.any(axis=(0, 2)))) <= {3, 4, 5, 6, 9}
    # the same box, one slice on the command line
    run_here(
        ["inference.json", tiny],
        "infer",
        dataset_dir=phantoms / name,
        slice=4,
        box=box,
        **{**overrides, "output_dir": tmp_path / "one"},
    )
    [one] = (tmp_path / "one").glob("*.nii.gz")
    np.testing.assert_array_equal(np.asarray(nib.load(one).dataobj)[:, 4], voxels[:, 4])


def test_inference_takes_the_boxes_of_a_data_list(trained, phantoms, tiny, tmp_path):
    run_here(
        ["inference.json", tiny], "infer", dataset_dir=phantoms, ckpt_path=trained / "model.pt", output_dir=tmp_path
    )
    listed = json.loads((phantoms / "dataset.json").read_text())["validation"]
    cases = [Path(item["image"]).name.removesuffix(".nii.gz") for item in listed]
    expected = [f"{case}_label{label}_mask.nii.gz" for case in cases for label in (1, 2)]
    assert sorted(file.name for file in tmp_path.glob("*.nii.gz")) == sorted(expected)


def test_inference_without_adapted_weights(phantoms, tiny, tmp_path):
    overrides = {"ckpt_path": tmp_path / "absent.pt", "adapted": False, "labels": 1}
    run_here(["inference.json", tiny], "infer", dataset_dir=phantoms, output_dir=tmp_path, **overrides)
    assert len(list(tmp_path.glob("*_label1_mask.nii.gz"))) == 2


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"dataset_dir": "/nowhere"}, "/nowhere"),
        ({"modality": "pet"}, r"modality must be one of \('ct', 'mr'\), got 'pet'"),
        ({"axis": "oblique"}, "axis must be one of"),
        ({"labels": "liver"}, "labels must be integers above 0"),
        ({"labels": "9"}, "gives no slice to train with"),
        ({"num_training": 99}, r"num_training must be in 1 \.\. 7"),
        ({"teacher_prompt": "scribble"}, "prompt must be one of"),
        ({"trainable_blocks": 50}, r"trainable_blocks must be in 0 \.\. 5"),
    ],
)
def test_bad_settings_are_named(phantoms, tiny, tmp_path, overrides, message):
    arguments = {"dataset_dir": phantoms, "ckpt_dir": tmp_path, "output_dir": tmp_path, **QUICK, **overrides}
    said = failure_of(["train.json", tiny], "train", **arguments)
    assert re.search(message, said), said


def boxes_in(folder: Path, phantoms: Path, **change) -> Path:
    """A data list of boxes on one slice of each of two phantoms; ``change`` to the second."""
    items = [
        {key: value for key, value in item.items() if key != "case"}
        for item in load_boxed_slices(phantoms, labels="1+2", num_training=3)["training"]
    ]
    items[-1] |= change
    content = {"task": "box_segmentation", "training": items[1:], "validation": items[:1]}
    (folder / "dataset.json").write_text(json.dumps(content))
    return folder


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"small_box": [9, 5, 6, 8]}, "small box [9, 5, 6, 8] has swapped corners: x1 9 > x2 6"),
        ({"big_box": [5, 5, 5, 20]}, "big box [5, 5, 5, 20] has zero area"),
        ({"big_box": [1, 1, 400, 400]}, "big box [1, 1, 400, 400] is not inside of the image"),
        ({"small_box": [1, 1, 4, 4], "big_box": [5, 5, 20, 20]}, "small box [1, 1, 4, 4] is not inside the big box"),
        ({"slice": 500}, "has no slice 500 along axis"),
        ({"label_values": [7]}, "shows nothing of label 7"),
        ({"mask": "/nowhere.nii.gz"}, "mask /nowhere.nii.gz does not exist"),
    ],
)
def test_bad_boxes_and_slices_are_named(phantoms, tiny, tmp_path, change, message):
    folder = boxes_in(tmp_path, phantoms, **change)
    last = json.loads((folder / "dataset.json").read_text())["training"][-1]["image"]
    arguments = {"dataset_dir": folder, "ckpt_dir": tmp_path, "output_dir": tmp_path, "num_pictures": 1}
    said = failure_of(["train.json", tiny], "train", **arguments)
    assert message in said
    assert Path(last).name in said or "nowhere" in message


def test_an_empty_slice_and_a_mask_of_another_shape_are_named(phantoms, tiny, tmp_path):
    folder = boxes_in(tmp_path, phantoms)
    content = json.loads((folder / "dataset.json").read_text())
    item = content["training"][-1]
    label = nib.load(item["mask"])
    nib.save(label.slicer[1:], tmp_path / "smaller.nii.gz")
    image = nib.load(item["image"])
    nib.save(nib.Nifti1Image(np.zeros(image.shape, dtype=np.float32), image.affine), tmp_path / "zeros.nii.gz")
    for change, message in (
        ({"mask": str(tmp_path / "smaller.nii.gz")}, f"mask {tmp_path}/smaller.nii.gz has shape"),
        ({"image": str(tmp_path / "zeros.nii.gz")}, f"image {tmp_path}/zeros.nii.gz axis {item['axis']} slice"),
    ):
        changed = [*content["training"][:-1], {**item, **change}]
        (folder / "dataset.json").write_text(json.dumps({**content, "training": changed}))
        assert message in failure_of(
            ["train.json", tiny], "train", dataset_dir=folder, ckpt_dir=tmp_path, output_dir=tmp_path
        )


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"slice": 4, "box": [3, 3, 900, 9]}, "box [3.0, 3.0, 900.0, 9.0] is not inside of slice 4"),
        ({"slice": 999, "box": [3, 3, 9, 9]}, "slice 999 must be in 0 .. "),
        ({"slice": 4, "box": [9, 3, 3, 9]}, "box must be [x1, y1, x2, y2] with x1 < x2"),
        ({"box": [3, 3, 9, 9]}, "slice must be an index"),
        ({"slice": 4, "box": [3, 3, 9, 9], "ckpt_path": "no_sam.pt"}, "no_sam.pt does not fit"),
        ({"slice": 4, "box": [3, 3, 9, 9], "ckpt_path": "absent.pt"}, "absent.pt does not exist"),
        ({"slice": 4, "box": [3, 3, 9, 9], "sam": "no_sam.pt"}, "no_sam.pt must be a checkpoint of a SAM"),
        ({"slice": 4, "box": [3, 3, 9, 9], "trainable_blocks": 3}, "model.pt does not fit"),
    ],
)
def test_bad_prompts_and_checkpoints_are_named(trained, phantoms, tiny, tmp_path, monkeypatch, overrides, message):
    monkeypatch.chdir(tmp_path)
    torch.save({"model": {"layer.weight": torch.zeros(2)}}, "no_sam.pt")
    name = json.loads((phantoms / "dataset.json").read_text())["validation"][0]["image"]
    arguments = {"dataset_dir": phantoms / name, "ckpt_path": trained / "model.pt", "output_dir": tmp_path, **overrides}
    assert message in failure_of(["inference.json", tiny], "infer", **arguments)


@pytest.mark.parametrize(("kind", "config"), [("train", "train.json"), ("infer", "inference.json")])
def test_bundle_properties_are_complete(phantoms, tiny, tmp_path, kind, config):
    workflow = run_here([config, tiny], kind, run=False, dataset_dir=phantoms, output_dir=tmp_path)
    assert workflow.check_properties() == []


@pytest.mark.slow
def test_resumed_training_equals_an_uninterrupted_one(trained, phantoms, tiny, tmp_path):
    paths = {"dataset_dir": phantoms, "ckpt_dir": tmp_path, "output_dir": tmp_path / "log"}
    run_bundle(["train.json", tiny], **paths, **QUICK, **{"train#trainer#max_epochs": 1})
    assert "Goes on after epoch 1 of 2" in run_bundle(["train.json", tiny], **paths, **QUICK, resume=True)
    whole, resumed = (torch.load(folder / "last.pt", weights_only=True) for folder in (trained, tmp_path))
    for part in ("sam_image_encoder", "proj", "teacher"):
        for name, value in whole[part].items():
            assert torch.equal(value, resumed[part][name]), f"{part} {name}"


@pytest.mark.slow
def test_two_processes_train_together(phantoms, tiny, tmp_path):
    """The multi-GPU configuration under torchrun with gloo."""
    overrides = {"dataset_dir": phantoms, "ckpt_dir": tmp_path, "output_dir": tmp_path / "log", **QUICK}
    run_bundle(["train.json", "multi_gpu_train.json", tiny], launcher=TORCHRUN, **overrides)
    assert torch.load(tmp_path / "last.pt", weights_only=True)["trainer"]["iteration"] == 4
    assert (tmp_path / "model.pt").is_file()


@pytest.mark.slow
def test_ct_phantoms_are_the_default_modality(tiny, tmp_path):
    write_ct_phantom_dataset(tmp_path / "ct", num_training=2, num_validation=1)
    overrides = {"dataset_dir": tmp_path / "ct", "ckpt_dir": tmp_path, "output_dir": tmp_path, "modality": "ct"}
    printed = run_bundle(["train.json", tiny], **overrides, **{**QUICK, "labels": 1, "num_training": 2})
    assert "val_mean_iou" in printed


@pytest.mark.slow
@pytest.mark.real_data
def test_trains_on_real_hippocampi(real_data_root, tiny, tmp_path):
    """Sagittal slices of the raw Decathlon folder; boxes are made on the way."""
    printed = run_bundle(
        ["train.json", tiny],
        dataset_dir=real_data_root / "hippocampus",
        axis="sagittal",
        ckpt_dir=tmp_path,
        output_dir=tmp_path,
        **{**QUICK, "max_epochs": 1, "cache_num": 10},
    )
    assert "val_mean_iou" in printed
