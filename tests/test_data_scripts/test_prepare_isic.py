"""The script from end to end: the layouts, every defect by name, and whole output or none."""

from __future__ import annotations

import csv
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image
from typer.testing import CliRunner, Result

from monai_proto.data.classification_datalist import class_counts, class_names, load_classification_datalist

SCRIPT = Path(__file__).parents[2] / "data_scripts" / "prepare_isic.py"


@pytest.fixture(scope="session")
def script():
    spec = importlib.util.spec_from_file_location("prepare_isic", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def prepare(script):
    """Runs the script in this process; all options as on the command line."""

    def run(**options: object) -> Result:
        arguments = []
        for name, value in options.items():
            arguments += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
        return CliRunner().invoke(script.app, arguments)

    return run


def picture(seed: int, size: tuple[int, int] = (64, 48)) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(0, 256, (9, 12, 3)).astype(np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


def write_ham10000(root: Path, num_lesions: int = 20, split: bool = False, masks: bool = True) -> Path:
    """Two images a lesion; every fifth lesion is a melanoma, of the split every fourth is test."""
    lines = ["lesion_id,image_id,dx" + (",split" if split else "")]
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    for index in range(2 * num_lesions):
        lesion = index // 2
        picture(index).save(root / "images" / f"I{index:02}.jpg", quality=95)
        if masks:
            Image.new("L", (64, 48), 255).save(root / "masks" / f"I{index:02}.png")
        part = f",{'train' if lesion % 4 else 'test'}" if split else ""
        lines.append(f"L{lesion},I{index:02},{'nv' if lesion % 5 else 'mel'}{part}")
    (root / "metadata.csv").write_text("\n".join(lines) + "\n")
    return root


def add_row(root: Path, *cells: str) -> None:
    with open(root / "metadata.csv", "a") as stream:
        stream.write(",".join(cells) + "\n")


def rows_of(output: Path) -> dict[str, dict[str, str]]:
    with open(output / "report.csv", encoding="utf-8", newline="") as stream:
        return {row["case"]: row for row in csv.DictReader(stream)}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def text(result: Result) -> str:
    return re.sub(r"\s+", " ", result.output)


def test_prepared_folder_is_self_contained_and_the_source_untouched(prepare, tmp_path: Path) -> None:
    source, output = write_ham10000(tmp_path / "source"), tmp_path / "new" / "prepared"
    before = contents(source)
    result = prepare(source=source, output=output, validation_fraction=0.25, test_fraction=0.25, seed=1)
    assert result.exit_code == 0, result.output
    assert contents(source) == before
    shutil.rmtree(source)

    datalist = json.loads((output / "dataset.json").read_text())
    assert (datalist["name"], datalist["task"]) == ("source", "classification")
    assert datalist["labels"] == {"0": "mel", "1": "nv"}
    first = datalist["training"][0]
    assert sorted(first) == ["image", "image_id", "label", "lesion_id", "mask", "sha256"]
    for key in ("image", "mask"):
        assert hashlib.sha256((output / first[key]).read_bytes()).hexdigest() == first["sha256"][key]
    files = ["dataset.json", "images", "masks", "report.csv", "summary.txt"]
    assert sorted(path.name for path in output.iterdir()) == files
    assert [path.name for path in output.parent.iterdir()] == ["prepared"]
    assert (output / "summary.txt").read_text() in result.stdout

    parts = load_classification_datalist(output)
    assert class_names(output) == ["mel", "nv"]
    assert {part: class_counts(items, 2) for part, items in parts.items()} == {
        "training": [4, 16],
        "validation": [2, 8],
        "test": [2, 8],
    }
    rows = rows_of(output)
    assert Counter(row["split"] for row in rows.values()) == {"training": 20, "validation": 10, "test": 10}


def test_the_same_seed_gives_the_same_list(prepare, tmp_path: Path) -> None:
    source = write_ham10000(tmp_path / "source")
    lists = []
    for run, (seed, workers) in enumerate(((1, 1), (1, 4), (2, 1))):
        assert prepare(source=source, output=tmp_path / str(run), seed=seed, workers=workers).exit_code == 0
        lists.append((tmp_path / str(run) / "dataset.json").read_bytes())
    assert lists[0] == lists[1] != lists[2]


def test_a_given_split_is_honoured_unless_told_otherwise(prepare, tmp_path: Path) -> None:
    source = write_ham10000(tmp_path / "source", split=True)
    assert prepare(source=source, output=tmp_path / "given", in_place=True).exit_code == 0
    parts = load_classification_datalist(tmp_path / "given")
    assert {item["lesion_id"] for item in parts["test"]} == {f"L{index}" for index in range(0, 20, 4)}
    assert [len(items) for items in parts.values()] == [24, 6, 10]
    assert prepare(source=source, output=tmp_path / "new", in_place=True, ignore_split=True).exit_code == 0
    parts = load_classification_datalist(tmp_path / "new")
    assert [len(items) for items in parts.values()] == [32, 8, 0]


def test_every_defect_is_reported_by_name(prepare, tmp_path: Path) -> None:
    source = write_ham10000(tmp_path / "source", split=True)
    images = source / "images"
    picture(50).save(images / "cut.jpg")
    (images / "cut.jpg").write_bytes((images / "cut.jpg").read_bytes()[:-200])
    picture(51, (64, 31)).save(images / "small.jpg")
    (images / "text.jpg").write_text("no image")
    picture(52).save(images / "wart.jpg")
    picture(53).save(images / "no_row.jpg")
    shutil.copy(images / "I03.jpg", images / "copy.jpg")
    shutil.copy(images / "I05.jpg", images / "conflict.jpg")
    with Image.open(images / "I02.jpg") as original:  # L1, in training
        original.resize((80, 60)).save(images / "near.jpg", quality=60)
    (images / "._I00.jpg").write_bytes(b"\0\5\26\7 of macOS")
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    picture(54).convert("CMYK").save(images / "cmyk.jpg", exif=exif)
    for case, label, part in (
        ("cut", "nv", "train"),
        ("small", "nv", "train"),
        ("text", "nv", "train"),
        ("wart", "wart", "train"),
        ("no_image", "nv", "train"),
        ("copy", "nv", "test"),
        ("conflict", "mel", "train"),
        ("near", "nv", "test"),
        ("cmyk", "nv", "train"),
    ):
        add_row(source, f"L_{case}", case, label, part)

    result = prepare(source=source, output=tmp_path / "out")
    assert result.exit_code == 0, result.output
    rows = rows_of(tmp_path / "out")
    excluded = {case: row["reasons"] for case, row in rows.items() if row["status"] == "excluded"}
    assert "truncated" in excluded.pop("cut")
    assert "cannot identify image file" in excluded.pop("text")
    assert excluded == {
        "small": "images/small.jpg: it has 64x31 pixels, needed are at least 32x32",
        "wart": "unknown label wart, expected one of mel, nv",
        "no_row": "image without a row in the metadata",
        "no_image": "row of the metadata without an image",
        # of the two copies the one that is listed in test stays
        "I03": "duplicate: the same pixels as images/copy.jpg, which stays",
        "I05": "conflicting labels: nv here, but the same pixels as images/conflict.jpg (mel)",
        "conflict": "conflicting labels: mel here, but the same pixels as images/I05.jpg (nv)",
    }
    for case, reasons in excluded.items():
        assert f"{case}: {reasons}" in result.stdout
        assert not (tmp_path / "out" / "images" / f"{case}.jpg").exists()
    assert len(rows) == 40 + 10
    # a near-duplicate in test pulls the image that it repeats, and that one's lesion, out of training
    assert [rows[case]["split"] for case in ("near", "I02", "copy")] == ["test"] * 3
    assert re.search(r"near-duplicate of near of lesion L_near \(\d+ of 256 bits differ\)", rows["I02"]["reasons"])
    assert "moved from training to test" in rows["I02"]["reasons"]
    assert rows["cmyk"]["reasons"] == "mode CMYK read as RGB; turned as its EXIF orientation 6 says"
    assert "ignored side files of macOS (AppleDouble, ._*): 1" in result.stdout
    load_classification_datalist(tmp_path / "out", required=("training", "validation", "test"))


def test_isic_one_hot_table_and_lesion_groupings(prepare, tmp_path: Path) -> None:
    source = tmp_path / "ISIC2018"
    (source / "Input").mkdir(parents=True)
    truth, lesions = ["image,MEL,NV,DF"], ["image,lesion_id"]
    for index in range(12):
        picture(index).save(source / "Input" / f"ISIC_{index}.jpg")
        truth.append(f"ISIC_{index}," + ("1.0,0.0,0.0" if index % 3 else "0.0,1.0,0.0"))
        lesions.append(f"ISIC_{index},L{index // 3}")
    (source / "ISIC2018_Task3_Training_GroundTruth.csv").write_text("\n".join(truth))
    (source / "groups.csv").write_text("\n".join(lesions))
    result = prepare(source=source, output=tmp_path / "out", link=True, classes="nv,mel", validation_fraction=0.25)
    assert result.exit_code == 0, result.output
    assert class_names(tmp_path / "out") == ["nv", "mel"]
    parts = load_classification_datalist(tmp_path / "out")
    assert [len(items) for items in parts.values()] == [9, 3, 0]
    file = Path("Input") / "ISIC_0.jpg"
    assert os.path.samefile(source / file, tmp_path / "out" / file)


def test_class_folders_in_place(prepare, tmp_path: Path) -> None:
    source = tmp_path / "source"
    for index in range(12):
        folder = source / ("test" if index < 4 else "train") / ("nv" if index % 2 else "mel")
        folder.mkdir(parents=True, exist_ok=True)
        picture(index).save(folder / f"{index}.png")
    before = contents(source)
    assert prepare(source=source, output=source).exit_code == 0
    after = contents(source)
    assert sorted(set(after) - set(before)) == ["dataset.json", "report.csv", "summary.txt"]
    assert {name: after[name] for name in before} == before
    parts = load_classification_datalist(source)
    assert [len(items) for items in parts.values()] == [6, 2, 4]
    # again on the result; a list of somebody else's is kept, and is never overwritten
    assert prepare(source=source, output=source).exit_code == 0
    assert (source / "dataset.json").read_bytes() == after["dataset.json"]
    (source / "dataset.json").write_text("{}")
    assert prepare(source=source, output=source).exit_code == 0
    assert (source / "dataset.original.json").read_text() == "{}"
    (source / "dataset.json").write_text("[]")
    result = prepare(source=source, output=source)
    assert result.exit_code == 2
    assert "dataset.original.json exists already: move it away" in text(result)
    assert (source / "dataset.json").read_text() == "[]"


def test_files_left_in_place_are_listed_with_absolute_paths(prepare, tmp_path: Path) -> None:
    source = write_ham10000(tmp_path / "source")
    assert prepare(source=source, output=tmp_path / "lists", in_place=True).exit_code == 0
    files = ["dataset.json", "report.csv", "summary.txt"]
    assert sorted(path.name for path in (tmp_path / "lists").iterdir()) == files
    item = json.loads((tmp_path / "lists" / "dataset.json").read_text())["training"][0]
    assert item["image"] == str(source / "images" / f"{item['image_id']}.jpg")
    assert item["mask"] == str(source / "masks" / f"{item['image_id']}.png")


def test_near_duplicates_can_be_left_alone(prepare, tmp_path: Path) -> None:
    source = write_ham10000(tmp_path / "source")
    result = prepare(source=source, output=tmp_path / "out", hash_distance=-1)
    assert result.exit_code == 0
    assert "near-duplicates" not in result.stdout


def test_nothing_usable_ends_with_status_1_and_writes_nothing(prepare, tmp_path: Path) -> None:
    source = write_ham10000(tmp_path / "source", num_lesions=3)
    result = prepare(source=source, output=tmp_path / "out", min_size=100)
    assert result.exit_code == 1
    assert "no usable image is left, nothing was written" in result.output
    assert "it has 64x48 pixels, needed are at least 100x100" in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_failure_while_writing_leaves_nothing(prepare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write_ham10000(tmp_path / "source")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", fail)
    result = prepare(source=source, output=tmp_path / "out")
    assert result.exit_code == 1
    assert "No space left on device" in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"source": "{tmp}/nowhere"}, "nowhere is not a folder"),
        ({"output": "{tmp}/source/images"}, "exists and is not an empty folder"),
        ({"layout": "isic"}, "--layout isic needs a table"),
        ({"layout": "other"}, "--layout"),
        ({"metadata": "{tmp}/nowhere.csv"}, "nowhere.csv does not exist"),
        ({"classes": "nv"}, "Classification needs two classes at least, got nv"),
        ({"validation_fraction": 0.6, "test_fraction": 0.4}, "their sum must be below 1"),
        ({"link": True, "in_place": True}, "give --link or --in-place, not both"),
        ({"min_size": 0}, "--min-size"),
    ],
)
def test_arguments_that_do_not_fit_end_with_status_2(prepare, tmp_path: Path, options: dict, message: str) -> None:
    source = write_ham10000(tmp_path / "source", num_lesions=4, masks=False)
    named = {name: str(value).format(tmp=tmp_path) if value is not True else True for name, value in options.items()}
    result = prepare(**{"source": source, "output": tmp_path / "out", **named})
    assert result.exit_code == 2, result.output
    assert message in re.sub(r"[\s│]+", " ", result.output)
    assert not (tmp_path / "out").exists()


def test_help_needs_none_of_the_heavy_libraries() -> None:
    done = subprocess.run([sys.executable, "-X", "importtime", str(SCRIPT), "--help"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--validation-fraction" in done.stdout
    assert not re.search(r"\| +(torch|monai)$", done.stderr, re.MULTILINE)


@pytest.mark.real_data
def test_real_images_of_ham10000(prepare, real_data_root: Path, tmp_path: Path) -> None:
    """The two pairs of different lesions that look alike and two pairs of copies, among others."""
    source = real_data_root / "ham10000"
    alike = {"ISIC_0025226", "ISIC_0030074", "ISIC_0027027", "ISIC_0029036"}
    copies = {"ISIC_0024366", "ISIC_0029861", "ISIC_0024777", "ISIC_0029938"}
    with open(source / "metadata.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    chosen = [row for index, row in enumerate(rows) if row["image_id"] in alike | copies or index % 200 == 0]
    for folder in ("images", "masks"):
        (tmp_path / "part" / folder).mkdir(parents=True)
    for row in chosen:
        for file in (f"images/{row['image_id']}.jpg", f"masks/{row['image_id']}_segmentation.png"):
            shutil.copy(source / file, tmp_path / "part" / file)
    with open(tmp_path / "part" / "metadata.csv", "w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(chosen)
    result = prepare(source=tmp_path / "part", output=tmp_path / "out", in_place=True)
    assert result.exit_code == 0, result.output
    report = rows_of(tmp_path / "out")
    assert {case for case, row in report.items() if "near-duplicate of" in row["reasons"]} == alike
    excluded = {case for case, row in report.items() if row["status"] == "excluded"}
    assert excluded == {"ISIC_0029861", "ISIC_0029938"}
    given = {row["image_id"] for row in chosen if row["split"] == "test"}
    parts = load_classification_datalist(tmp_path / "out")
    assert {item["image_id"] for item in parts["test"]} == given
    assert all("mask" in item for items in parts.values() for item in items)
