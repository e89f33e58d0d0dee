"""The script from end to end: folders, archives, addresses, and real broken cases."""

from __future__ import annotations

import csv
import gzip
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from monai_proto.data.datalist import load_semi_supervised_datalist

SCRIPT = Path(__file__).parents[2] / "data_scripts" / "prepare_decathlon.py"
SHAPE = (6, 5, 4)


@pytest.fixture(scope="session")
def script():
    spec = importlib.util.spec_from_file_location("prepare_decathlon", SCRIPT)
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


def _save(file: Path, data: np.ndarray, affine: np.ndarray | None = None) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(data, np.eye(4) if affine is None else affine), file)


def _case(root: Path, case: str, seed: int, label: bool = True) -> None:
    generator = np.random.default_rng(seed)
    _save(root / "imagesTr" / f"{case}.nii.gz", generator.normal(size=SHAPE).astype(np.float32))
    if label:
        _save(root / "labelsTr" / f"{case}.nii.gz", np.resize(np.array([0, 1, 2], np.uint8), SHAPE))


def _toy(root: Path, num_cases: int = 10) -> Path:
    for index in range(num_cases):
        _case(root, f"c{index}", seed=index)
    properties = {
        "name": "Toy",
        "licence": "CC0",
        "modality": {"0": "MRI"},
        "labels": {"0": "background", "1": "front", "2": "back"},
    }
    items = [{"image": f"./imagesTr/c{i}.nii.gz", "label": f"./labelsTr/c{i}.nii.gz"} for i in range(num_cases)]
    (root / "dataset.json").write_text(json.dumps({**properties, "training": items}))
    return root


def _rows(output: Path) -> dict[str, dict[str, str]]:
    with open(output / "report.csv", encoding="utf-8", newline="") as stream:
        return {row["case"]: row for row in csv.DictReader(stream)}


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _text(result: Result) -> str:
    return re.sub(r"\s+", " ", result.output)


def test_prepared_folder_is_self_contained_and_the_source_untouched(prepare, tmp_path: Path) -> None:
    source, output = _toy(tmp_path / "source"), tmp_path / "new" / "prepared"
    before = _contents(source)
    result = prepare(source=source, output=output, labelled=3, seed=1)
    assert result.exit_code == 0, result.output
    assert _contents(source) == before
    shutil.rmtree(source)

    datalist = json.loads((output / "dataset.json").read_text())
    assert datalist["licence"] == "CC0"
    assert (datalist["numTraining"], datalist["numLabelled"], len(datalist["validation"])) == (8, 3, 2)
    for item in datalist["training"] + datalist["validation"]:
        for key in ("image", "label"):
            assert hashlib.sha256((output / item[key]).read_bytes()).hexdigest() == item["sha256"][key]
    assert sorted(path.name for path in output.iterdir()) == [
        "dataset.json",
        "imagesTr",
        "labelsTr",
        "report.csv",
        "summary.txt",
    ]
    assert [path.name for path in output.parent.iterdir()] == ["prepared"]
    assert (output / "summary.txt").read_text() in result.stdout

    loaded = load_semi_supervised_datalist(output, num_labelled=3)
    assert {part: len(items) for part, items in loaded.items()} == {"labelled": 3, "unlabelled": 5, "validation": 2}
    rows = _rows(output)
    assert {row["split"] for row in rows.values()} == {"training, labelled", "training, label unused", "validation"}


def test_the_same_seed_gives_the_same_list(prepare, tmp_path: Path) -> None:
    source = _toy(tmp_path / "source")
    lists = []
    for run, seed in enumerate((1, 1, 2)):
        assert prepare(source=source, output=tmp_path / str(run), labelled=3, seed=seed).exit_code == 0
        lists.append((tmp_path / str(run) / "dataset.json").read_bytes())
    assert lists[0] == lists[1] != lists[2]


def test_order_of_the_source_on_demand(prepare, tmp_path: Path) -> None:
    source = _toy(tmp_path / "source")
    assert (
        prepare(source=source, output=tmp_path / "out", labelled=2, keep_order=True, validation_fraction=0).exit_code
        == 0
    )
    training = json.loads((tmp_path / "out" / "dataset.json").read_text())["training"]
    assert [item["patient_id"] for item in training] == [f"c{i}" for i in range(10)]


def test_in_place_keeps_the_files_and_the_original_list(prepare, tmp_path: Path) -> None:
    source = _toy(tmp_path / "source")
    original, files = (source / "dataset.json").read_bytes(), _contents(source / "imagesTr")
    assert prepare(source=source, output=source).exit_code == 0
    assert (source / "dataset.original.json").read_bytes() == original
    assert _contents(source / "imagesTr") == files
    first = (source / "dataset.json").read_bytes()
    # again on the result: its split is kept, and it is no original
    assert prepare(source=source, output=source).exit_code == 0
    assert (source / "dataset.json").read_bytes() == first
    assert (source / "dataset.original.json").read_bytes() == original
    # a list of the user's own once more: the kept original is not overwritten
    (source / "dataset.json").write_bytes(original)
    result = prepare(source=source, output=source)
    assert result.exit_code == 2
    assert "exists already: move it away" in _text(result)


def test_subjects_stay_on_one_side(prepare, tmp_path: Path) -> None:
    source = _toy(tmp_path / "source", num_cases=16)
    subjects = tmp_path / "list of subjects.csv"
    subjects.write_text("case,subject\n" + "".join(f"c{i},s{i // 2}\n" for i in range(16)))
    options = {"validation_fraction": 0.25, "test_fraction": 0.1, "labelled": 4, "subjects": subjects}
    assert prepare(source=source, output=tmp_path / "out", **options).exit_code == 0
    datalist = json.loads((tmp_path / "out" / "dataset.json").read_text())
    sides = [{i["patient_id"] for i in datalist[part]} for part in ("training", "validation", "test")]
    assert [len(side) for side in sides] == [5, 2, 1]
    assert len(set.union(*sides)) == 8
    assert len({item["patient_id"] for item in datalist["training"][:4]}) == 2


def test_every_defect_is_reported_by_name(prepare, tmp_path: Path) -> None:
    source = _toy(tmp_path / "source")
    images, labels = source / "imagesTr", source / "labelsTr"
    good = np.resize(np.array([0, 1, 2], np.uint8), SHAPE)
    for seed, case in enumerate(("truncated", "shape", "affine", "values", "empty", "single", "no_label"), start=20):
        _case(source, case, seed)
    (labels / "no_label.nii.gz").unlink()
    # only the last bytes of the checksum are lost: nibabel alone would read it
    (images / "truncated.nii.gz").write_bytes((images / "truncated.nii.gz").read_bytes()[:-4])
    _save(labels / "shape.nii.gz", np.ones((6, 5, 5), np.uint8))
    _save(labels / "affine.nii.gz", good, np.diag([-1.0, 1.0, 1.0, 1.0]))
    _save(labels / "values.nii.gz", good + 2)
    _save(labels / "empty.nii.gz", np.zeros(SHAPE, np.uint8))
    _save(labels / "single.nii.gz", (good == 1).astype(np.uint8))
    _save(labels / "no_image.nii.gz", good)
    (images / "copy.nii.gz").write_bytes(
        gzip.compress(gzip.decompress((images / "c3.nii.gz").read_bytes()), compresslevel=1)
    )
    shutil.copy(labels / "c3.nii.gz", labels / "copy.nii.gz")
    for name in ("imagesTr/._c0.nii.gz", "labelsTr/._c0.nii.gz"):
        (source / name).write_bytes(b"\0\5\26\7 of macOS")

    result = prepare(source=source, output=tmp_path / "out")
    assert result.exit_code == 0, result.output
    rows = _rows(tmp_path / "out")
    excluded = {case: row["reasons"] for case, row in rows.items() if row["status"] == "excluded"}
    assert sorted(excluded) == ["affine", "copy", "empty", "no_image", "shape", "truncated", "values"]
    assert excluded["truncated"].startswith("imagesTr/truncated.nii.gz: unreadable (")
    assert "shape mismatch: label 6x5x5, image 6x5x4" in excluded["shape"]
    assert "affine mismatch: corner voxels of label and image lie up to 10 mm apart" in excluded["affine"]
    assert "label values out of range: 3, 4, expected one of 0, 1, 2" in excluded["values"]
    assert excluded["empty"] == "labelsTr/empty.nii.gz: label is empty: background only"
    assert excluded["no_image"] == "label without image"
    assert excluded["copy"] == "duplicate: imagesTr/copy.nii.gz has the same voxels as imagesTr/c3.nii.gz"
    assert rows["no_label"]["split"] == "unlabelled"
    assert "image without label: used as unlabelled" in rows["no_label"]["reasons"]
    assert "label holds one class only: 1 of 1, 2" in rows["single"]["reasons"]
    assert rows["single"]["status"] == "included"
    for case, reasons in excluded.items():
        assert f"{case}: {reasons}" in result.stdout
        assert not (tmp_path / "out" / "imagesTr" / f"{case}.nii.gz").exists()
    assert "ignored side files of macOS (AppleDouble, ._*): 2" in result.stdout
    assert not list((tmp_path / "out").rglob("._*"))


def test_folder_without_a_data_list(prepare, tmp_path: Path) -> None:
    source = _toy(tmp_path / "Study")
    (source / "dataset.json").unlink()
    (source / "imagesTr").rename(source / "images")
    (source / "labelsTr").rename(source / "labels")
    assert prepare(source=source, output=tmp_path / "found").exit_code == 0
    found = json.loads((tmp_path / "found" / "dataset.json").read_text())
    assert found["name"] == "Study"
    assert found["labels"] == {"0": "background", "1": "label 1", "2": "label 2"}
    options = {"modalities": "T1w", "label_names": "background, front, back"}
    assert prepare(source=source, output=tmp_path / "named", **options).exit_code == 0
    named = json.loads((tmp_path / "named" / "dataset.json").read_text())
    assert named["modality"] == {"0": "T1w"}
    assert named["labels"] == {"0": "background", "1": "front", "2": "back"}
    result = prepare(source=source, output=tmp_path / "too_few", label_names="background,front")
    assert result.exit_code == 1
    assert "label values out of range: 2, expected one of 0, 1" in result.output


def test_folders_of_patients_with_files_of_the_same_name(prepare, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    for patient in "ABCDE":
        for day in (1, 2):
            folder = tmp_path / "source" / f"patient{patient}" / f"day{day}"
            _save(folder / "t1.nii.gz", generator.normal(size=SHAPE).astype(np.float32))
            if (patient, day) != ("A", 1):
                _save(folder / "seg.nii.gz", np.resize(np.array([0, 1, 2], np.uint8), SHAPE))
    options = {"source": tmp_path / "source", "images": "*/*/t1.nii.gz", "labels": "*/*/seg.nii.gz"}
    result = prepare(**options, output=tmp_path / "out", validation_fraction=0.4)
    assert result.exit_code == 0, result.output
    parts = load_semi_supervised_datalist(tmp_path / "out", None)
    cases = [Path(item["image"]).name for items in parts.values() for item in items]
    assert sorted(cases) == [f"patient{p}_day{d}_t1.nii.gz" for p in "ABCDE" for d in (1, 2)]
    training, validation = (
        {item["patient_id"] for part in names for item in parts[part]}
        for names in (("labelled", "unlabelled"), ("validation",))
    )
    assert training.isdisjoint(validation)
    assert training | validation == {f"patient{p}" for p in "ABCDE"}
    for item in parts["labelled"]:
        assert Path(item["label"]).name == Path(item["image"]).name
        original = tmp_path / "source" / Path(item["image"]).name.removesuffix("_t1.nii.gz").replace("_", "/")
        assert Path(item["image"]).read_bytes() == (original / "t1.nii.gz").read_bytes()
        assert Path(item["label"]).read_bytes() == (original / "seg.nii.gz").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "source"]
    for wrong, message in (
        ({"labels": "seg.nii.gz"}, "must have the same wildcards"),
        ({"images": "*/*/t2.nii.gz"}, "fits no .nii.gz or .nii file"),
        ({"task": "Task04_Hippocampus"}, "no --task, --url or hash"),
    ):
        result = prepare(**{**options, **wrong}, output=tmp_path / "other")
        assert result.exit_code == 2
        assert message in _text(result).replace("│ ", "")
    result = prepare(source=tmp_path / "source", images="*/t1.nii.gz", output=tmp_path / "other")
    assert "--images and --labels belong together" in _text(result).replace("│ ", "")


def test_multi_channel_images_need_declared_modalities(prepare, tmp_path: Path) -> None:
    for index in range(3):
        _case(tmp_path / "source", f"c{index}", seed=index)
        image = np.random.default_rng(index).normal(size=(*SHAPE, 2)).astype(np.float32)
        _save(tmp_path / "source" / "imagesTr" / f"c{index}.nii.gz", image)
    result = prepare(source=tmp_path / "source", output=tmp_path / "out")
    assert result.exit_code == 1
    assert "image has shape 6x5x4x2, expected 3-D (one modality)" in result.output
    assert prepare(source=tmp_path / "source", output=tmp_path / "out", modalities="FLAIR,T1w").exit_code == 0
    assert json.loads((tmp_path / "out" / "dataset.json").read_text())["tensorImageSize"] == "4D"


def test_hard_links_on_demand(prepare, tmp_path: Path) -> None:
    source = _toy(tmp_path / "source")
    assert prepare(source=source, output=tmp_path / "linked", link=True).exit_code == 0
    assert prepare(source=source, output=tmp_path / "copied").exit_code == 0
    image = Path("imagesTr") / "c0.nii.gz"
    assert os.path.samefile(source / image, tmp_path / "linked" / image)
    assert not os.path.samefile(source / image, tmp_path / "copied" / image)


def test_nothing_usable_ends_with_status_1_and_writes_nothing(prepare, tmp_path: Path) -> None:
    _case(tmp_path / "source", "only_image", seed=0, label=False)
    result = prepare(source=tmp_path / "source", output=tmp_path / "out")
    assert result.exit_code == 1
    assert "no case with a usable label is left, nothing was written" in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_failure_while_writing_leaves_nothing(prepare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = _toy(tmp_path / "source")

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
        ({}, "Give one of --source, --url and --task"),
        ({"source": "{tmp}/nowhere"}, "nowhere does not exist"),
        ({"source": "{tmp}"}, "holds neither dataset.json nor a folder imagesTr or images"),
        ({"source": "{tmp}/source", "url": "http://x"}, "Give one of"),
        ({"source": "{tmp}/source", "md5": "00"}, "are for a tar file"),
        ({"url": "http://127.0.0.1:9/x.tar"}, "--url needs --sha256 or --md5"),
        ({"url": "http://127.0.0.1:9/x.tar", "md5": "00", "sha256": "00"}, "give --sha256 or --md5, not both"),
        ({"task": "Task99_Toy"}, "--task must be one of Task01_BrainTumour"),
        ({"task": "Task04_Hippocampus", "url": "http://x"}, "leave out --url"),
        (
            {"task": "Task04_Hippocampus", "source": "{tmp}"},
            "holds neither Task04_Hippocampus nor Task04_Hippocampus.tar",
        ),
        ({"source": "{tmp}/source", "labelled": 11}, "--labelled 11 is more than the 10 pairs"),
        ({"source": "{tmp}/source", "labelled": 9}, "num_labelled must be in 1 .. 8"),
        ({"source": "{tmp}/source", "labelled": 0}, "Invalid value for '--labelled'"),
        ({"source": "{tmp}/source", "validation_fraction": 1.5}, "Invalid value for '--validation-fraction'"),
        ({"source": "{tmp}/source", "subjects": "{tmp}/none.csv"}, "none.csv does not exist"),
        ({"source": "{tmp}/source", "output": "{tmp}/source/imagesTr"}, "is not an empty folder"),
    ],
)
def test_wrong_arguments_end_with_status_2(prepare, tmp_path: Path, options: dict[str, object], message: str) -> None:
    _toy(tmp_path / "source")
    (tmp_path / "second").mkdir()
    before = _contents(tmp_path)
    given = {name: str(value).format(tmp=tmp_path) for name, value in options.items()}
    result = prepare(**{"output": tmp_path / "out", **given})
    assert result.exit_code == 2
    assert message in _text(result)
    assert _contents(tmp_path) == before


@pytest.fixture
def toy_tar(tmp_path: Path) -> Path:
    """A tar file as the Decathlon ships them, packed on a Mac."""
    source = _toy(tmp_path / "build" / "Task04_Hippocampus")
    (source / "imagesTr" / "._c0.nii.gz").write_bytes(b"macOS")
    (tmp_path / "mirror").mkdir()
    with tarfile.open(tmp_path / "mirror" / "Task04_Hippocampus.tar", "w") as tar:
        tar.add(source, "Task04_Hippocampus")
    shutil.rmtree(tmp_path / "build")
    return tmp_path / "mirror" / "Task04_Hippocampus.tar"


def test_tar_file(prepare, toy_tar: Path, tmp_path: Path) -> None:
    sha256 = hashlib.sha256(toy_tar.read_bytes()).hexdigest()
    result = prepare(source=toy_tar, sha256=sha256, output=tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert len(list((tmp_path / "out" / "imagesTr").iterdir())) == 10
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mirror", "out"]
    wrong = prepare(source=toy_tar, md5="0" * 32, output=tmp_path / "other")
    assert wrong.exit_code == 2
    assert f"expected {'0' * 32}: it is damaged" in _text(wrong)


def test_task_of_a_local_mirror(prepare, toy_tar: Path, tmp_path: Path) -> None:
    md5 = hashlib.md5(toy_tar.read_bytes()).hexdigest()
    public = prepare(task="Task04_Hippocampus", source=toy_tar.parent, output=tmp_path / "out")
    assert public.exit_code == 2  # the toy is not what the Decathlon ships
    result = prepare(task="Task04_Hippocampus", source=toy_tar.parent, md5=md5, output=tmp_path / "out")
    assert result.exit_code == 0, result.output
    with tarfile.open(toy_tar) as tar:
        tar.extractall(toy_tar.parent, filter="data")
    assert prepare(task="Task04_Hippocampus", source=toy_tar.parent, output=tmp_path / "folder").exit_code == 0


def test_tar_file_with_a_member_outside(prepare, toy_tar: Path, tmp_path: Path) -> None:
    (tmp_path / "evil.txt").write_text("evil")
    with tarfile.open(toy_tar, "a") as tar:
        tar.add(tmp_path / "evil.txt", "../evil_twin.txt")
    (tmp_path / "evil.txt").unlink()
    result = prepare(source=toy_tar, output=tmp_path / "out")
    assert result.exit_code == 2
    assert "is not safe to unpack" in _text(result)
    assert [path.name for path in tmp_path.iterdir()] == ["mirror"]


def test_url_is_fetched_verified_and_kept_for_the_next_run(prepare, toy_tar: Path, tmp_path: Path) -> None:
    asked = []

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            asked.append(self.path)

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(toy_tar.parent)))
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/{toy_tar.name}"
        wrong = prepare(url=url, sha256="0" * 64, output=tmp_path / "out", download_dir=tmp_path / "kept")
        assert wrong.exit_code == 2
        assert "does not match the known hash" in _text(wrong)
        assert not list((tmp_path / "kept").iterdir())
        sha256 = hashlib.sha256(toy_tar.read_bytes()).hexdigest()
        for run in ("a", "b"):
            result = prepare(url=url, sha256=sha256, output=tmp_path / run, download_dir=tmp_path / "kept")
            assert result.exit_code == 0, result.output
        missing = prepare(url=f"{url}.gz", sha256=sha256, output=tmp_path / "c")
        assert missing.exit_code == 1
        assert "404" in missing.output
    finally:
        server.shutdown()
        server.server_close()
    assert len(asked) == 2 + 2  # an error is logged twice: as an error and as a request
    assert [path.name for path in (tmp_path / "kept").iterdir()] == [toy_tar.name]


def test_runs_as_a_program(tmp_path: Path) -> None:
    source = _toy(tmp_path / "source", num_cases=3)
    command = [sys.executable, str(SCRIPT), "--source", str(source), "--output", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "Toy: 3 cases included, 0 excluded" in done.stdout


@pytest.mark.real_data
def test_real_hippocampus(prepare, real_data_root: Path, tmp_path: Path) -> None:
    result = prepare(source=real_data_root / "hippocampus", output=tmp_path / "out", labelled=10, link=True)
    assert result.exit_code == 0, result.output
    assert "Hippocampus: 210 cases included, 0 excluded" in result.stdout
    loaded = load_semi_supervised_datalist(tmp_path / "out", num_labelled=10)
    assert {part: len(items) for part, items in loaded.items()} == {"labelled": 10, "unlabelled": 161, "validation": 39}
    assert len({item["patient_id"] for items in loaded.values() for item in items}) == 136


@pytest.mark.real_data
def test_real_broken_cases_among_good_ones(prepare, real_data_root: Path, tmp_path: Path) -> None:
    source, good = tmp_path / "source", real_data_root / "hippocampus"
    broken = real_data_root / "broken" / "hippocampus"
    for folder, broken_folder in (("imagesTr", "images"), ("labelsTr", "labels")):
        (source / folder).mkdir(parents=True)
        files = [*sorted((good / folder).iterdir())[:6], *(broken / broken_folder).iterdir()]
        for file in files:
            shutil.copyfile(file, source / folder / file.name)
    labels = "background,anterior,posterior"
    assert prepare(source=source, output=tmp_path / "out", label_names=labels).exit_code == 0
    rows = _rows(tmp_path / "out")
    assert rows["hippocampus_010"]["reasons"] == rows["hippocampus_281"]["reasons"] == "label without image"
    assert rows["hippocampus_118"]["split"] == "unlabelled"
    assert rows["hippocampus_118"]["reasons"] == "image without label: used as unlabelled"

    # the same label beside an image of that name: now its grid and its classes tell
    image = sorted((good / "imagesTr").iterdir())[10]
    shutil.copyfile(image, source / "imagesTr" / "hippocampus_281.nii.gz")
    assert prepare(source=source, output=tmp_path / "paired", label_names=labels).exit_code == 0
    row = _rows(tmp_path / "paired")["hippocampus_281"]
    assert row["status"] == "excluded"
    assert "shape mismatch: label 512x512x94, image" in row["reasons"]
    assert "affine mismatch" in row["reasons"]
    assert "label holds one class only: 1 of 1, 2" in row["reasons"]
    assert sum(row["status"] == "included" for row in _rows(tmp_path / "paired").values()) == 7
