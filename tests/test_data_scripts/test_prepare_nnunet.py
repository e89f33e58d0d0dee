"""The scripts from end to end: a raw folder of nnU-Net to a data list, and predictions back."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import re
from pathlib import Path
from types import ModuleType

import nibabel as nib
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from monai_proto.data.bundle_metadata import read_label_names
from monai_proto.data.datalist import load_semi_supervised_datalist, read_datalist

SCRIPTS = Path(__file__).parents[2] / "data_scripts"
SHAPE = (6, 5, 4)


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(name: str, **options: object) -> Result:
    arguments = []
    for option, value in options.items():
        arguments += [f"--{option.replace('_', '-')}", *([] if value is True else [str(value)])]
    return CliRunner().invoke(script(name).app, arguments)


def text(result: Result) -> str:
    return re.sub(r"\s+", " ", result.output)


def save(file: Path, data: np.ndarray) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(data, np.eye(4)), file)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Ten labelled cases of two channels, two unlabelled ones, and a split of two folds."""
    root = tmp_path / "Dataset004_Toy"
    generator = np.random.default_rng(0)
    for index in range(12):
        for channel in range(2):
            save(root / "imagesTr" / f"c{index}_{channel:04d}.nii.gz", generator.normal(size=SHAPE).astype(np.float32))
        if index < 10:
            save(root / "labelsTr" / f"c{index}.nii.gz", np.resize(np.array([0, 1, 2], np.uint8), SHAPE))
    content = {
        "channel_names": {"0": "T1", "1": "T2"},
        "labels": {"background": 0, "front": 1, "back": 2},
        "numTraining": 10,
        "file_ending": ".nii.gz",
        "licence": "CC0",
    }
    (root / "dataset.json").write_text(json.dumps(content))
    names = [f"c{index}" for index in range(10)]
    (root / "splits_final.json").write_text(
        json.dumps([{"train": names[3:], "val": names[:3]}, {"train": names[:8], "val": names[8:]}])
    )
    return root


def test_a_raw_folder_becomes_a_list_to_train_on(source: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in source.rglob("*") if path.is_file()}
    result = run("prepare_nnunet", source=source, output=tmp_path / "out", fold=1, labelled=4)
    assert result.exit_code == 0, result.output
    assert {path: path.read_bytes() for path in source.rglob("*") if path.is_file()} == before
    assert "split as splits_final.json (fold 1) gives it; subjects: 10 in training, 2 in validation" in text(result)
    parts = load_semi_supervised_datalist(tmp_path / "out", 4)
    assert [len(parts[part]) for part in ("labelled", "unlabelled", "validation")] == [4, 6, 2]
    assert [item["patient_id"] for item in parts["validation"]] == ["c8", "c9"]
    assert {"c10", "c11"} < {item["patient_id"] for item in parts["unlabelled"]}
    content = read_datalist(tmp_path / "out")
    assert (content["name"], content["licence"], content["tensorImageSize"]) == ("Dataset004_Toy", "CC0", "4D")
    assert content["modality"] == {"0": "T1", "1": "T2"}
    assert read_label_names(tmp_path / "out") == ["background", "front", "back"]
    image = nib.load(tmp_path / "out" / "imagesTr" / "c3.nii.gz")
    assert image.shape == (*SHAPE, 2)
    for channel in range(2):
        one = nib.load(source / "imagesTr" / f"c3_{channel:04d}.nii.gz")
        np.testing.assert_array_equal(np.asarray(image.dataobj)[..., channel], np.asarray(one.dataobj))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["Dataset004_Toy", "out"]


def test_the_first_fold_without_a_word_and_a_draw_on_demand(source: Path, tmp_path: Path) -> None:
    assert run("prepare_nnunet", source=source, output=tmp_path / "first").exit_code == 0
    assert [item["patient_id"] for item in read_datalist(tmp_path / "first")["validation"]] == ["c0", "c1", "c2"]
    result = run("prepare_nnunet", source=source, output=tmp_path / "drawn", validation_fraction=0.4, seed=3)
    assert "split drawn by subject with seed 3; subjects: 8 in training, 4 in validation" in text(result)


def test_version_1_with_one_channel_test_images_and_defects(source: Path, tmp_path: Path) -> None:
    for file in source.glob("imagesTr/*_0001.nii.gz"):
        file.unlink()
    (source / "splits_final.json").unlink()
    labels = {"0": "background", "1": "front", "2": "back"}
    (source / "dataset.json").write_text(json.dumps({"modality": {"0": "MRI"}, "labels": labels, "numTraining": 10}))
    save(source / "imagesTs" / "t_0000.nii.gz", np.random.default_rng(9).normal(size=SHAPE).astype(np.float32))
    save(source / "labelsTs" / "t.nii.gz", np.resize(np.array([0, 1, 2], np.uint8), SHAPE))
    (source / "imagesTr" / "c0_0000.nii.gz").unlink()
    (source / "imagesTr" / "c1_0000.nii.gz").write_bytes((source / "imagesTr" / "c2_0000.nii.gz").read_bytes())
    save(source / "labelsTr" / "c3.nii.gz", np.full(SHAPE, 7, np.uint8))
    result = run("prepare_nnunet", source=tmp_path, output=tmp_path.parent / "linked", link=True)
    assert result.exit_code == 0, result.output
    output = tmp_path.parent / "linked"
    with open(output / "report.csv", encoding="utf-8", newline="") as stream:
        rows = {row["case"]: row for row in csv.DictReader(stream)}
    assert rows["c0"]["reasons"] == "label without image"
    assert rows["c2"]["reasons"].startswith("duplicate: imagesTr/c2.nii.gz has the same voxels as imagesTr/c1.nii.gz")
    assert "label values out of range: 7, expected one of 0, 1, 2" in rows["c3"]["reasons"]
    assert rows["t"]["split"] == "test"
    assert os.path.samefile(output / "imagesTr" / "c4.nii.gz", source / "imagesTr" / "c4_0000.nii.gz")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"source": "nowhere"}, "nowhere is not a folder"),
        ({"fold": 5}, "--fold must be in 0 .. 1"),
        ({"splits": "nowhere.json"}, "Split nowhere.json does not exist"),
        (
            {"fold": 1, "validation_fraction": 0.2},
            "--validation-fraction draws a new split: leave out --splits and --fold",
        ),
        ({"labelled": 11}, "--labelled 11 is more than the 10 pairs"),
    ],
)
def test_arguments_that_do_not_fit(source: Path, tmp_path: Path, options: dict[str, object], message: str) -> None:
    result = run("prepare_nnunet", **{"source": source, "output": tmp_path / "out", **options})
    assert (result.exit_code, message in text(result)) == (2, True), result.output
    assert not (tmp_path / "out").exists()


def test_a_fold_needs_a_split_and_regions_are_refused(source: Path, tmp_path: Path) -> None:
    (source / "splits_final.json").unlink()
    result = run("prepare_nnunet", source=source, output=tmp_path / "out", fold=0)
    assert "holds no splits_final.json, give it with --splits" in text(result)
    content = json.loads((source / "dataset.json").read_text())
    (source / "dataset.json").write_text(json.dumps({**content, "labels": {"background": 0, "all": [1, 2]}}))
    result = run("prepare_nnunet", source=source, output=tmp_path / "out")
    assert (result.exit_code, "all are regions of several values, which are not supported" in text(result)) == (2, True)


def test_predictions_go_back(source: Path, tmp_path: Path) -> None:
    assert run("prepare_nnunet", source=source, output=tmp_path / "out").exit_code == 0
    for case in ("c0", "c1"):
        save(tmp_path / "eval" / f"{case}_seg.nii.gz", np.resize(np.array([0, 1, 2], np.float32), SHAPE))
    arguments = {"predictions": tmp_path / "eval", "output": tmp_path / "back"}
    result = run("to_nnunet", **arguments, dataset=tmp_path / "out")
    assert result.output.endswith("2 label maps, dataset.json\n")
    for case in ("c0", "c1"):
        ours, theirs = (
            nib.load(tmp_path / "back" / f"{case}.nii.gz"),
            nib.load(source / "labelsTr" / f"{case}.nii.gz"),
        )
        np.testing.assert_array_equal(np.asarray(ours.dataobj), np.asarray(theirs.dataobj))
    written = json.loads((tmp_path / "back" / "dataset.json").read_text())
    raw = json.loads((source / "dataset.json").read_text())
    assert all(written[key] == raw[key] for key in ("channel_names", "labels", "file_ending"))
    assert (run("to_nnunet", **arguments).exit_code, "back exists" in text(run("to_nnunet", **arguments))) == (2, True)
