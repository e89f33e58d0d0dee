"""The script from end to end: masks, tables and COCO files of annotators, volumes, and everything that can be wrong."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from monai_proto.data.boxes.checks import check_boxes
from monai_proto.data.boxes.datalist import read_box_datalist

SCRIPT = Path(__file__).parents[2] / "data_scripts" / "prepare_boxes.py"
HEIGHT, WIDTH = 24, 32
GOOD = [10, 10, 16, 14, 8, 8, 20, 18]  # small, big
HEADER = "image,small_x1,small_y1,small_x2,small_y2,big_x1,big_y1,big_x2,big_y2"


@pytest.fixture(scope="session")
def script():
    spec = importlib.util.spec_from_file_location("prepare_boxes", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def prepare(script, tmp_path: Path):
    """Runs the script in this process on ``tmp_path/images``; all options as on the command line."""

    def run(**options: object) -> Result:
        arguments = []
        for name, value in ({"images": tmp_path / "images", "output": tmp_path / "out"} | options).items():
            arguments += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
        return CliRunner().invoke(script.app, arguments)

    return run


def picture(folder: Path, name: str, seed: int = 0, size: tuple[int, int] = (HEIGHT, WIDTH)) -> None:
    file = folder / "images" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (*size, 3), dtype=np.uint8)).save(file)


def mask(folder: Path, name: str, *boxes: tuple[int, int, int, int], size: tuple[int, int] = (HEIGHT, WIDTH)) -> None:
    pixels = np.zeros(size, dtype=np.uint8)
    for x1, y1, x2, y2 in boxes:
        pixels[y1:y2, x1:x2] = 255
    (folder / "masks").mkdir(exist_ok=True)
    Image.fromarray(pixels).save(folder / "masks" / name)


def rows(output: Path) -> dict[str, dict[str, str]]:
    with open(output / "report.csv", encoding="utf-8", newline="") as stream:
        return {row["case"]: row for row in csv.DictReader(stream)}


def items(output: Path) -> dict[str, dict]:
    content = read_box_datalist(output)
    return {item["image_id"]: item for part in ("training", "validation", "test") for item in content[part]}


def text(result: Result) -> str:
    return re.sub(r"\s+", " ", result.output)


def test_boxes_from_masks_with_every_kind_of_bad_case(prepare, tmp_path: Path):
    for index, name in enumerate(["a", "b", "two", "empty", "none", "small", "grey", "sub/d"]):
        picture(tmp_path, f"{name}.png", seed=index)
    picture(tmp_path, "copy.bmp", seed=0)  # the pixels of a
    (tmp_path / "images" / "cut.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
    Image.new("RGB", (WIDTH, HEIGHT), "black").save(tmp_path / "images" / "black.png")
    for name in ("a_segmentation", "b_mask", "copy", "cut", "black", "d"):
        mask(tmp_path, f"{name}.png", (8, 6, 28, 16))
    mask(tmp_path, "two.png", (2, 2, 8, 8), (20, 10, 28, 20))
    mask(tmp_path, "empty.png")
    mask(tmp_path, "small.png", (2, 2, 8, 8), size=(HEIGHT, HEIGHT))
    mask(tmp_path, "stranger.png", (2, 2, 8, 8))
    soft = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    soft[5:15, 5:25], soft[6:14, 6:24] = 100, 250
    Image.fromarray(soft).save(tmp_path / "masks" / "grey.png")

    result = prepare(masks=tmp_path / "masks", jitter=0, validation_fraction=0)
    assert result.exit_code == 0, result.output
    found = items(tmp_path / "out")
    assert sorted(found) == ["a", "b", "grey", "sub/d"]
    assert found["a"]["small_box"] == [12.0, 8.0, 24.0, 14.0]
    assert found["a"]["big_box"] == [5.0, 4.5, 31.0, 17.5]
    assert found["a"]["mask"] == str(tmp_path / "masks" / "a_segmentation.png")
    assert found["grey"]["small_box"] == [9.6, 7.6, 20.4, 12.4]
    report = rows(tmp_path / "out")
    assert "mask has 3 grey values" in report["grey"]["reasons"]
    reasons = {case: row["reasons"] for case, row in report.items() if row["status"] == "excluded"}
    expected = {
        "copy": "duplicate: same pixels as a.png",
        "cut": "unreadable: Image cut.jpg cannot be read",
        "black": "image is of a single colour",
        "two": "mask shows 2 objects of [80, 36] pixels, expected one",
        "empty": "mask is empty",
        "none": "image without a mask",
        "small": "mask is for 24 x 24 pixels, the image has 32 x 24",
        "stranger": "mask without an image",
    }
    assert sorted(reasons) == sorted(expected)
    for case, reason in expected.items():
        assert reason in reasons[case]
    assert (tmp_path / "out" / "summary.txt").read_text() in result.stdout
    assert "4 cases included, 8 excluded" in result.stdout


def test_jitter_depends_on_the_seed_and_the_name_alone(prepare, tmp_path: Path):
    for index in range(3):
        picture(tmp_path, f"c{index}.png", seed=index)
        mask(tmp_path, f"c{index}.png", (8, 6, 28, 16))

    def boxes(output: str, **options):
        assert prepare(masks=tmp_path / "masks", output=tmp_path / output, **options).exit_code == 0
        return {case: (item["small_box"], item["big_box"]) for case, item in items(tmp_path / output).items()}

    first = boxes("first", seed=3)
    assert len({str(value) for value in first.values()}) == 3
    picture(tmp_path, "b.png", seed=9)
    mask(tmp_path, "b.png", (8, 6, 28, 16))
    again = boxes("again", seed=3)
    assert {case: again[case] for case in first} == first
    assert boxes("other", seed=4)["c0"] != first["c0"]


def test_boxes_from_a_table_with_every_kind_of_bad_row(prepare, tmp_path: Path):
    for index, name in enumerate("abcdefgh"):
        picture(tmp_path, f"{name}.png", seed=index)
    lines = {
        "a": GOOD,
        "b.png": [16, 10, 10, 14, 8, 8, 20, 18],
        "c": [10, 10, 16, 10, 8, 8, 20, 18],
        "d": [10, 10, 16, 14, 8, 8, 33, 18],
        "e": [7, 10, 16, 14, 8, 8, 20, 18],
        "missing": GOOD,
        "f": [10, 10, 16, "x", 8, 8, 20, 18],
    }
    table = [",".join(map(str, [name, *values])) for name, values in lines.items()]
    table += [",".join(map(str, ["g", *GOOD]))] * 2
    table += [",".join(map(str, ["h", *GOOD])), ",".join(map(str, ["h", *GOOD[:4], 0, 0, 32, 24]))]
    (tmp_path / "boxes.csv").write_text("\n".join([HEADER, *table]), encoding="utf-8-sig")
    picture(tmp_path, "unannotated.png", seed=99)
    result = prepare(boxes=tmp_path / "boxes.csv", validation_fraction=0)
    assert result.exit_code == 0, result.output
    found = items(tmp_path / "out")
    assert sorted(found) == ["a", "g"]
    assert found["a"]["small_box"] + found["a"]["big_box"] == GOOD
    assert "mask" not in found["a"]
    with open(tmp_path / "out" / "report.csv", encoding="utf-8", newline="") as stream:
        excluded = [(row["case"], row["reasons"]) for row in csv.DictReader(stream) if row["status"] == "excluded"]
    expected = [
        ("b", "small box [16, 10, 10, 14] has swapped corners: x1 16 > x2 10"),
        ("c", "small box [10, 10, 16, 10] has zero area"),
        ("d", "big box [8, 8, 33, 18] is not inside of the image, which is 32 wide and 24 high"),
        ("e", "small box [7, 10, 16, 14] is not inside the big box"),
        ("f", "boxes.csv line 8: boxes must be eight numbers"),
        ("g", "duplicate: g is annotated the same in boxes.csv line 9"),
        ("h", "annotated 2 times with different boxes (boxes.csv line 11, boxes.csv line 12)"),
        ("h", "annotated 2 times with different boxes"),
        ("missing", "boxes.csv line 7: image missing is missing from"),
        ("unannotated", "no boxes"),
    ]
    for (case, reasons), (name, reason) in zip(sorted(excluded), expected, strict=True):
        assert case == name
        assert reason in reasons


def test_objects_of_one_image_and_inclusive_corners(prepare, tmp_path: Path):
    picture(tmp_path, "a.png")
    (tmp_path / "boxes.csv").write_text(f"{HEADER},object\na,2,2,5,5,1,1,7,7,left\na,20,9,25,15,18,8,31,23,right\n")
    assert prepare(boxes=tmp_path / "boxes.csv", inclusive_corners=True).exit_code == 0
    found = items(tmp_path / "out")
    assert sorted(found) == ["a/left", "a/right"]
    assert found["a/right"]["small_box"] == [20, 9, 26, 16]
    assert found["a/right"]["big_box"] == [18, 8, 32, 24]
    assert found["a/left"]["patient_id"] == found["a/right"]["patient_id"]


def coco(folder: Path, annotations: list[dict], images: list[str]) -> Path:
    content = {
        "images": [{"id": i, "file_name": f"{n}.png", "width": WIDTH, "height": HEIGHT} for i, n in enumerate(images)],
        "categories": [{"id": 1, "name": "Small"}, {"id": 2, "name": "big_box"}, {"id": 3, "name": "lesion"}],
        "annotations": [{"id": i, **annotation} for i, annotation in enumerate(annotations)],
    }
    (folder / "boxes.json").write_text(json.dumps(content))
    return folder / "boxes.json"


def test_boxes_from_coco(prepare, tmp_path: Path):
    names = ["pair", "two", "attribute", "half", "crossed", "unknown", "bare"]
    for index, name in enumerate(names):
        picture(tmp_path, f"{name}.png", seed=index)
    small, big, lesion = ({"category_id": number} for number in (1, 2, 3))
    annotations = [
        {"image_id": 0, **small, "bbox": [10, 10, 6, 4]},
        {"image_id": 0, **big, "bbox": [8, 8, 12, 10]},
        {"image_id": 1, **big, "bbox": [0, 0, 10, 10]},
        {"image_id": 1, **small, "bbox": [22, 12, 4, 5]},
        {"image_id": 1, **big, "bbox": [20, 10, 12, 14]},
        {"image_id": 1, **small, "bbox": [2, 2, 4, 4]},
        {"image_id": 2, **lesion, "bbox": [2, 2, 4, 4], "attributes": {"box": "small", "object": "naevus"}},
        {"image_id": 2, **lesion, "bbox": [1, 1, 9, 9], "attributes": {"box": "big", "object": "naevus"}},
        {"image_id": 3, **small, "bbox": [2, 2, 4, 4]},
        {"image_id": 4, **small, "bbox": [6, 6, 2, 2]},
        {"image_id": 4, **small, "bbox": [2, 2, 2, 2]},
        {"image_id": 4, **big, "bbox": [0, 0, 10, 10]},
        {"image_id": 4, **big, "bbox": [1, 1, 10, 10]},
        {"image_id": 5, **lesion, "bbox": [2, 2, 4, 4]},
        {"image_id": 77, **small, "bbox": [2, 2, 4, 4]},
    ]
    result = prepare(coco=coco(tmp_path, annotations, names), validation_fraction=0)
    assert result.exit_code == 0, result.output
    found = items(tmp_path / "out")
    assert sorted(found) == ["attribute/naevus", "pair", "two/1", "two/2"]
    assert found["pair"]["small_box"] + found["pair"]["big_box"] == [10, 10, 16, 14, 8, 8, 20, 18]
    assert found["two/1"]["small_box"] + found["two/1"]["big_box"] == [22, 12, 26, 17, 20, 10, 32, 24]
    assert found["two/2"]["big_box"] == [0, 0, 10, 10]
    reasons = {case: row["reasons"] for case, row in rows(tmp_path / "out").items() if row["status"] == "excluded"}
    assert "got 1 small and 0 big" in reasons["half"]
    assert "fits 2 big boxes, expected one" in reasons["crossed"]
    assert "annotation 13 is neither small nor big: category lesion" in reasons["unknown"]
    assert "image without a box" in reasons["bare"]
    assert "image_id 77 is not among the images" in reasons["annotation 14"]
    assert len(reasons) == 5


def test_coco_boxes_of_a_picture_of_another_size_are_left_out(prepare, tmp_path: Path):
    picture(tmp_path, "a.png", size=(HEIGHT, WIDTH + 1))
    boxes = {1: [4, 4, 4, 4], 2: [2, 2, 9, 9]}
    pair = [{"image_id": 0, "category_id": category, "bbox": box} for category, box in boxes.items()]
    result = prepare(coco=coco(tmp_path, pair, ["a"]))
    assert result.exit_code == 1
    assert "boxes are for 32 x 24 pixels, the image has 33 x 24" in text(result)


def test_pictures_turned_by_exif_are_checked_the_right_way_up(prepare, tmp_path: Path):
    exif = Image.Exif()
    exif[0x0112] = 6  # a viewer turns it by a quarter
    (tmp_path / "images").mkdir()
    pixels = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "images" / "a.jpg", exif=exif)
    (tmp_path / "boxes.csv").write_text(f"{HEADER}\na,2,26,9,30,0,20,24,32\n")
    assert prepare(boxes=tmp_path / "boxes.csv").exit_code == 0
    assert "turned as its EXIF orientation 6 says" in rows(tmp_path / "out")["a"]["reasons"]


def volume(folder: Path, name: str, data: np.ndarray, affine: np.ndarray | None = None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(data, np.eye(4) if affine is None else affine), folder / f"{name}.nii.gz")


@pytest.fixture
def volumes(tmp_path: Path) -> Path:
    labels = np.zeros((20, 24, 6), dtype=np.uint8)
    labels[4:14, 6:16, 2] = 1
    labels[4:14, 6:18, 3] = 1
    labels[14:18, 6:18, 3] = 2
    for index, name in enumerate(["v1", "v2", "v3"]):
        image = np.random.default_rng(index % 2).normal(size=labels.shape).astype(np.float32)
        volume(tmp_path / "images", f"{name}_0000" if name == "v2" else name, image)  # v3 is a copy of v1
        volume(tmp_path / "masks", name, labels)
    volume(tmp_path / "images", "alone", np.random.default_rng(5).normal(size=(4, 4, 4)).astype(np.float32))
    volume(tmp_path / "images", "moved", np.random.default_rng(6).normal(size=labels.shape).astype(np.float32))
    volume(tmp_path / "masks", "moved", labels, np.diag([1.0, 1, 2, 1]))
    return tmp_path


def test_slices_of_volumes(prepare, volumes: Path):
    result = prepare(masks=volumes / "masks", jitter=0, validation_fraction=0.5, seed=1, min_pixels=10)
    assert result.exit_code == 0, result.output
    found = items(volumes / "out")
    assert sorted(found) == [
        "v1_label1_axis2_slice003",
        "v1_label2_axis2_slice003",
        "v2_0000_label1_axis2_slice003",
        "v2_0000_label2_axis2_slice003",
    ]
    item = found["v1_label1_axis2_slice003"]
    assert (item["axis"], item["slice"], item["label_values"]) == (2, 3, [1])
    # y along the first axis left, x along the second
    assert item["small_box"] == [8.4, 6.0, 15.6, 12.0]
    assert item["big_box"] == [4.2, 2.5, 19.8, 15.5]
    reasons = {case: row["reasons"] for case, row in rows(volumes / "out").items() if row["status"] == "excluded"}
    assert sorted(reasons) == ["alone", "moved", "v3"]
    assert "image without label" in reasons["alone"]
    assert "affine mismatch" in reasons["moved"]
    assert "duplicate: same voxels as v1.nii.gz" in reasons["v3"]
    content = read_box_datalist(volumes / "out")
    sides = [{item["patient_id"] for item in content[part]} for part in ("training", "validation")]
    assert sorted(map(sorted, sides)) == [["v1"], ["v2_0000"]]


def test_values_together_all_slices_and_another_axis(prepare, volumes: Path):
    result = prepare(masks=volumes / "masks", labels="1+2", slices="all", jitter=0, output=volumes / "together")
    assert result.exit_code == 0, result.output
    found = items(volumes / "together")
    assert found["v1_label1+2_axis2_slice003"]["big_box"] == [4.2, 1.9, 19.8, 20.0]
    assert "v1_label1+2_axis2_slice002" in found
    assert prepare(masks=volumes / "masks", labels="3", output=volumes / "three").exit_code == 1
    result = prepare(masks=volumes / "masks", axis="coronal", output=volumes / "coronal")
    assert result.exit_code == 1
    assert "no slice shows 25 pixels of the object, the largest 20" in text(result)


def test_table_gives_lesions_and_splits(prepare, tmp_path: Path):
    for index in range(4):
        picture(tmp_path, f"c{index}.jpg", seed=index)
        mask(tmp_path, f"c{index}_segmentation.png", (8, 6, 28, 16))
    table = tmp_path / "metadata.csv"
    table.write_text("lesion_id,image_id,split\nL1,c0,train\nL1,c1,train\nL2,c2.jpg,test\nL9,c9,test\n")
    result = prepare(masks=tmp_path / "masks", table=table, no_training_masks=True)
    assert result.exit_code == 0, result.output
    content = read_box_datalist(tmp_path / "out")
    assert [(item["image_id"], item["patient_id"]) for item in content["training"]] == [("c0", "L1"), ("c1", "L1")]
    assert [item["image_id"] for item in content["test"]] == ["c2"]
    assert "mask" in content["test"][0]
    assert "mask" not in content["training"][0]
    assert rows(tmp_path / "out")["c3"]["reasons"] == "image c3 has no row in metadata.csv"
    assert "1 rows of metadata.csv are of images that are not here" in result.stdout

    table.write_text("lesion_id,image_id,split\nL1,c0,train\nL1,c1,test\nL2,c2,test\nL9,c3,train\n")
    result = prepare(masks=tmp_path / "masks", table=table, output=tmp_path / "leaky")
    assert result.exit_code == 2
    assert "patient L1 is on two sides of the split" in text(result)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images", "masks", "metadata.csv", "out"]
    table.write_text("lesion_id,image_id,split\nL1,c0,practice\n")
    result = prepare(masks=tmp_path / "masks", table=table, output=tmp_path / "odd")
    assert "line 2: split must be train, validation or test, got 'practice'" in text(result)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "give one of --masks, --boxes and --coco, got none"),
        ({"masks": "masks", "boxes": "x.csv"}, "got --masks and --boxes"),
        ({"masks": "nowhere"}, "nowhere is not a folder"),
        ({"boxes": "nowhere.csv"}, "Boxes file nowhere.csv does not exist"),
        ({"coco": "nowhere.json"}, "COCO file nowhere.json does not exist"),
        ({"masks": "masks", "small_inset": 0.6}, "small_inset must be at least 0 and below 0.5, got 0.6"),
        ({"masks": "masks", "labels": "1;2"}, "labels must be integers"),
        ({"masks": "masks", "table": "nowhere.csv"}, "Table nowhere.csv does not exist"),
    ],
)
def test_arguments_that_do_not_fit(prepare, tmp_path: Path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    picture(tmp_path, "a.png")
    mask(tmp_path, "a.png", (8, 6, 28, 16))
    result = prepare(**options)
    assert result.exit_code == 2
    assert message in text(result)
    assert not (tmp_path / "out").exists()


def test_broken_files_of_annotators_and_a_used_output(prepare, tmp_path: Path):
    picture(tmp_path, "a.png")
    (tmp_path / "boxes.csv").write_text("image,x1\na,3\n")
    assert "lacks the columns small_x1" in text(prepare(boxes=tmp_path / "boxes.csv"))
    for content, message in (
        ("[]", "boxes.json must be a JSON object, got []"),
        ("{}", "boxes.json has no list images"),
        ('{"images": [{"id": [1]}], "annotations": []}', "boxes.json, images[0].id: must be a text or number"),
        ('{"images": [], "annotations": [3]}', "boxes.json, annotations[0]: must be a JSON object, got 3"),
    ):
        (tmp_path / "boxes.json").write_text(content)
        assert message in text(prepare(coco=tmp_path / "boxes.json"))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").touch()
    result = prepare(boxes=tmp_path / "boxes.csv")
    assert result.exit_code == 2
    assert "is not an empty folder" in text(result)


def test_nothing_usable_writes_nothing(prepare, tmp_path: Path):
    picture(tmp_path, "a.png")
    mask(tmp_path, "a.png")
    result = prepare(masks=tmp_path / "masks")
    assert result.exit_code == 1
    assert "a: mask is empty" in text(result)
    assert "no usable object is left, nothing was written" in text(result)
    assert not (tmp_path / "out").exists()


def test_help_starts_quickly_as_a_program():
    environment = {**os.environ, "COLUMNS": "200", "PYTHONDONTWRITEBYTECODE": "1"}
    result = subprocess.run(
        [sys.executable, SCRIPT, "--help"], capture_output=True, text=True, check=True, env=environment
    )
    assert "--inclusive-corners" in result.stdout


@pytest.mark.real_data
def test_real_dermoscopy(prepare, real_data_root: Path, tmp_path: Path):
    source = real_data_root / "ham10000"
    (tmp_path / "images").mkdir()
    for file in sorted((source / "images").glob("*.jpg"))[:200:5]:
        (tmp_path / "images" / file.name).symlink_to(file)
    result = prepare(masks=source / "masks", table=source / "metadata.csv")
    assert result.exit_code == 0, result.output
    found = items(tmp_path / "out")
    assert len(found) == 40
    for item in found.values():
        with Image.open(item["image"]) as image, Image.open(item["mask"]) as truth:
            check_boxes(item["small_box"], item["big_box"], (image.height, image.width), item["image_id"])
            pixels = np.asarray(truth)
        x1, y1, x2, y2 = item["big_box"]
        assert pixels.sum() == pixels[int(y1) : int(np.ceil(y2)), int(x1) : int(np.ceil(x2))].sum() > 0


@pytest.mark.real_data
def test_real_hippocampus_slices(prepare, real_data_root: Path, tmp_path: Path):
    source = real_data_root / "hippocampus"
    (tmp_path / "images").mkdir()
    for file in sorted((source / "imagesTr").glob("*.nii.gz"))[:6]:
        (tmp_path / "images" / file.name).symlink_to(file)
    (tmp_path / "labels").mkdir()
    for file in (tmp_path / "images").iterdir():
        (tmp_path / "labels" / file.name).symlink_to(source / "labelsTr" / file.name)
    options = {"labels": "1+2", "small_placement": "inscribed", "table": source / "subjects.csv"}
    result = prepare(masks=tmp_path / "labels", **options)
    assert result.exit_code == 0, result.output
    found = items(tmp_path / "out")
    assert len(found) == 6
    for item in found.values():
        voxels = np.asanyarray(nib.load(item["mask"]).dataobj) > 0
        truth = voxels.take(item["slice"], item["axis"])
        assert truth.sum() == max(voxels.take(index, item["axis"]).sum() for index in range(voxels.shape[item["axis"]]))
        x1, y1, x2, y2 = item["small_box"]
        assert truth[int(y1) : int(np.ceil(y2)), int(x1) : int(np.ceil(x2))].all()
