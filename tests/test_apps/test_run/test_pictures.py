"""The commands on photographs, with the weights that the bundles ship and with a short training."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from monai_proto.cli.main import app
from monai_proto.phantoms import write_dermoscopy_phantom_dataset

pytest.importorskip("timm", reason="timm is not installed (extra classification)")

CLASSIFIER, SEGMENTER = "dermoscopy_prototype_classification", "dermoscopy_sam_weak_segmentation"


def call(*arguments: object, status: int = 0) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == status, f"{result.output}\n{result.exception!r}"
    return result.output


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("phantoms") / "dermoscopy"
    write_dermoscopy_phantom_dataset(folder, num_training=21, num_validation=7, num_test=7)
    return folder


@pytest.fixture
def patients(phantoms, tmp_path) -> Path:
    """Two patients with an image of the same name."""
    for patient, image in zip("AB", sorted((phantoms / "images").iterdir()), strict=False):
        target = tmp_path / "in" / f"patient{patient}" / "lesion.jpg"
        target.parent.mkdir(parents=True)
        shutil.copyfile(image, target)
    return tmp_path / "in"


def test_every_image_is_explained_under_its_own_name(patients, tmp_path):
    said = call("explain", CLASSIFIER, "--input", patients, "--output", tmp_path / "out")
    assert said.splitlines()[1] == f"Data: {patients}: 2 images"  # the first is the number of threads
    assert len(list((tmp_path / "out" / "explanations").glob("*.png"))) == 2
    rows = list(csv.DictReader((tmp_path / "out" / "predictions.csv").open()))
    assert [row["image_id"] for row in rows] == ["patientA/lesion", "patientB/lesion"]
    assert "phantoms only" in said


def test_pictures_and_objects_of_one_name_get_a_mask_each(phantoms, patients, tmp_path):
    pytest.importorskip("segment_anything", reason="segment-anything is not installed (extra sam)")
    box = ("--set", "box=[40, 30, 160, 120]")
    call("predict", SEGMENTER, "--input", patients, "--output", tmp_path / "out", *box)
    masks = sorted(file.relative_to(tmp_path / "out").as_posix() for file in (tmp_path / "out").rglob("*.png"))
    assert masks == ["patientA/lesion_mask.png", "patientB/lesion_mask.png"]
    item = {"patient_id": "A", "image": "patientA/lesion.jpg"}
    test = [
        {**item, "image_id": "1", "small_box": [60, 40, 100, 80], "big_box": [40, 30, 160, 120]},
        {**item, "image_id": "2", "small_box": [10, 10, 20, 20], "big_box": [5, 5, 30, 30]},
    ]
    mask = Image.new("L", Image.open(patients / "patientA" / "lesion.jpg").size)
    mask.paste(255, (60, 40, 100, 80))
    mask.save(patients / "mask.png")
    others = [
        {**test[0], "image": "patientB/lesion.jpg", "mask": "mask.png", "patient_id": patient} for patient in "BC"
    ]
    content = {"task": "box_segmentation", "training": others[:1], "validation": others[1:], "test": test}
    (patients / "dataset.json").write_text(json.dumps(content))
    call("predict", SEGMENTER, "--input", patients, "--output", tmp_path / "objects")
    first, second = (np.asarray(Image.open(f)) for f in sorted((tmp_path / "objects").glob("lesion_object*_mask.png")))
    assert first.shape == second.shape
    assert (first != second).any()


@pytest.mark.slow
def test_a_classifier_trains_into_a_run_that_explains_itself(phantoms, patients, tmp_path):
    quick = ["max_epochs=3", "warm_up_epochs=1", "last_layer_epochs=1", "batch_size=7", "use_tensorboard=false"]
    run = tmp_path / "run"
    settings = [part for value in quick for part in ("--set", value)]
    said = call("train", CLASSIFIER, "--data", phantoms, "--output", run, *settings)
    assert "validation balanced accuracy" in said
    assert "recall mel" in said
    rows = list(csv.DictReader((run / "metrics.csv").open()))
    assert len(rows) == 7
    assert all(row["label"] in json.loads((run / "run.json").read_text())["classes"] for row in rows)
    assert (run / "overlays.png").is_file()
    assert (run / "evaluation" / "report.html").is_file()
    call("explain", run, "--input", patients, "--output", tmp_path / "reasons")
    assert len(list((tmp_path / "reasons" / "explanations").glob("*.png"))) == 2


def test_a_run_without_a_joint_stage_is_refused_before_it_trains(phantoms, tmp_path):
    settings = ("--set", "max_epochs=4", "--set", "pretrained=false")
    said = call("train", CLASSIFIER, "--data", phantoms, "--output", tmp_path / "run", *settings, status=2)
    assert "need max_epochs of 9 or more. With max_epochs 4: warm_up_epochs 1 and last_layer_epochs 1 fit." in said
    assert "epoch 1/4" not in said
