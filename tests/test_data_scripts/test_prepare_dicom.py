"""The script from end to end: a tree of sound and broken series, labels, resuming, a full disk, real series."""

from __future__ import annotations

import csv
import errno
import importlib.util
import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from typer.testing import CliRunner, Result

pytest.importorskip("highdicom", reason="the extra dicom is not installed: no highdicom")
import pydicom
from dicom_files import MR, SR, new_dataset, write_series, write_structure_set

from monai_proto.apps.dicom import Algorithm, Segment, write_segmentation
from monai_proto.data.datalist import load_semi_supervised_datalist
from monai_proto.dicom.header import read_header
from monai_proto.dicom.series import assemble_series
from monai_proto.preparation.dicom import checks
from monai_proto.preparation.dicom import prepare as preparation

SCRIPT = Path(__file__).parents[2] / "data_scripts" / "prepare_dicom.py"
SQUARE = np.array([(0.5, 0.5), (3.5, 0.5), (3.5, 2.5), (0.5, 2.5)])


@pytest.fixture(scope="session")
def script():
    spec = importlib.util.spec_from_file_location("prepare_dicom", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def prepare(script, tmp_path):
    """Runs the script on tmp_path/tree into tmp_path/out; further options as on the command line."""

    def run(source: Path = tmp_path / "tree", output: Path = tmp_path / "out", **options: object) -> Result:
        arguments = ["--source", str(source), "--output", str(output)]
        for name, value in {"workers": 1, **options}.items():
            arguments += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
        return CliRunner().invoke(script.app, arguments)

    return run


@pytest.fixture
def tree(tmp_path):
    """Four patients with a labelled CT each, and one of almost everything that can be wrong."""
    root = tmp_path / "tree"
    for index in range(4):
        folder = root / f"Doe_{index}" / "ct"
        write_series(folder, patient=f"P{index}", seed=index)
        names = {"spleen": [(2, SQUARE)], **({"liver": [(1, SQUARE)]} if index else {})}
        write_structure_set(root / f"Doe_{index}" / "rt.dcm", folder, names)
    write_series(root / "second", patient="P0", seed=9)
    broken = root / "broken"
    write_series(broken / "gap", seed=20)
    (broken / "gap" / "002.dcm").unlink()
    write_series(broken / "two", seed=21, change=lambda i, d: setattr(d, "PatientID", f"P{i % 2}"))
    write_series(broken / "cut", seed=22)
    (broken / "cut" / "003.dcm").write_bytes((broken / "cut" / "003.dcm").read_bytes()[:-9])
    write_series(broken / "copy", seed=1, patient="P7")
    new_dataset(broken / "sr.dcm", SR).save_as(broken / "sr.dcm", enforce_file_format=True)
    wrong = write_structure_set(broken / "rt.dcm", root / "Doe_1" / "ct", {"tumour": [(1, SQUARE)]})
    wrong.ROIContourSequence[0].ContourSequence[0].ContourImageSequence[0].ReferencedSOPInstanceUID = "1.2.3"
    wrong.save_as(broken / "rt.dcm")
    (root / "notes").mkdir()
    for name in ("a.txt", "b.txt"):
        (root / "notes" / name).write_text("no DICOM")
    (root / "notes" / "away.dcm").symlink_to("/etc/hostname")
    return root


def _rows(folder: Path) -> dict[str, dict[str, str]]:
    with open(folder / "report.csv", encoding="utf-8", newline="") as stream:
        return {row["case"]: row for row in csv.DictReader(stream)}


def test_mixed_tree(prepare, tree, tmp_path):
    result = prepare()
    assert result.exit_code == 0, result.output
    datalist = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert datalist["labels"] == {"0": "background", "1": "liver", "2": "spleen"}  # no tumour: its RTSTRUCT is invalid
    assert datalist["modality"] == {"0": "CT"}
    loaded = load_semi_supervised_datalist(tmp_path / "out", None)
    assert (len(loaded["labelled"]), len(loaded["validation"])) == (3, 1)
    sides = [{item["patient_id"] for item in loaded[part]} for part in ("labelled", "unlabelled", "validation")]
    assert not (sides[0] | sides[1]) & sides[2]
    with open(tmp_path / "out_key" / "key.csv", newline="") as stream:
        key = {row["case"]: row for row in csv.DictReader(stream)}
    for item in loaded["labelled"]:
        case = Path(item["image"]).name.removesuffix(".nii.gz")
        patient = int(key[case]["patient_id"][1:])
        image, label = nib.load(item["image"]), nib.load(item["label"])
        expected, affine = write_series(tmp_path / f"oracle_{patient}", seed=patient)
        np.testing.assert_array_equal(np.asarray(image.dataobj), expected)
        np.testing.assert_allclose(label.affine, np.diag([-1, -1, 1, 1]) @ affine, atol=1e-4)
        oracle = np.zeros(image.shape)
        oracle[1:4, 1:3, 2] = 2
        oracle[1:4, 1:3, 1] = 1 if patient else 0
        np.testing.assert_array_equal(np.asarray(label.dataobj), oracle)
    rows = _rows(tmp_path / "out_key")
    reasons = {
        "broken/sr.dcm": "no image: Basic Text SR Storage",
        "broken/rt.dcm": "refers to 1 of 5 images that are not in the series",
        "notes/": "not a DICOM file (2 files in one folder)",
        "notes/away.dcm": "link that leads outside of the folder",
    }
    for name, reason in reasons.items():
        assert rows[name]["status"] == "excluded"
        assert reason in rows[name]["reasons"]
    by_folder = {row["files"]: row["reasons"] for row in rows.values()}
    assert "missing slices: 1" in by_folder["broken/gap/ (3 files)"]
    assert "two patients in one series" in by_folder["broken/two/ (4 files)"]
    assert "slice 2 of 4: pixels cannot be decoded" in by_folder["broken/cut/ (4 files)"]
    assert "duplicate: the same voxels as" in by_folder["broken/copy/ (4 files)"]


def test_nothing_that_names_a_patient_is_carried_over(prepare, tree, tmp_path):
    for index in range(4):
        for file in (tree / f"Doe_{index}" / "ct").iterdir():
            dataset = pydicom.dcmread(file)
            block = dataset.private_block(0x0019, "VENDOR", create=True)
            block.add_new(0x0A, "LO", "Doe's dose")
            block.add_new(0x0B, "LO", "head first")
            dataset.save_as(file)
    assert prepare(keep_tags="PatientSex;0019,100B").exit_code == 0
    uids = {str(pydicom.dcmread(file).SeriesInstanceUID) for file in tree.glob("Doe_*/ct/001.dcm")}
    for file in (tmp_path / "out").rglob("*"):
        if file.is_file():
            content = file.read_bytes() if file.suffix != ".gz" else nib.load(file).header.binaryblock
            assert not any(word in content for word in (b"Doe", b"19700101", b'"P0"', *map(str.encode, uids))), file
    datalist = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert datalist["training"][0]["dicom"] == {"PatientSex": "O", "0019,100B": "head first"}
    assert (tmp_path / "out_key").stat().st_mode & 0o077 == 0
    assert (tmp_path / "out_key" / "key.csv").stat().st_mode & 0o077 == 0


def test_a_full_disk_leaves_nothing_and_the_same_command_goes_on(prepare, tree, tmp_path, monkeypatch):
    converted = []
    write = checks.write_nifti

    def full(file, *arguments):
        if len(converted) == 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        converted.append(file)
        write(file, *arguments)

    monkeypatch.setattr(checks, "write_nifti", full)
    result = prepare()
    assert result.exit_code == 1
    assert "No space left on device" in result.output
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "out_key").exists()
    done = len(converted)
    again = []
    monkeypatch.setattr(checks, "write_nifti", lambda file, *rest: (again.append(file), write(file, *rest)))
    assert prepare().exit_code == 0
    images = [file for file in [*converted[: done - 1], *again] if file.parent.parent.name == "series"]
    assert len(set(images)) == len(images)  # nothing that was finished is converted again
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_second_run_keeps_pseudonyms_and_workers_change_nothing(prepare, tree, tmp_path):
    assert prepare().exit_code == 0
    write_series(tree / "early", patient="A0", seed=50)
    first = (tmp_path / "out_key" / "key.csv").read_text().splitlines()
    result = prepare(output=tmp_path / "out2", key=tmp_path / "out_key", workers=2)
    assert result.exit_code == 0, result.output
    second = (tmp_path / "out_key" / "key.csv").read_text().splitlines()
    assert set(first) < set(second)
    assert len(second) == len(first) + 1
    both = [json.loads((tmp_path / name / "dataset.json").read_text()) for name in ("out", "out2")]
    hashes = [{item["image"]: item["sha256"]["image"] for item in part["training"]} for part in both]
    common = hashes[0].keys() & hashes[1].keys()
    assert common
    assert all(hashes[0][name] == hashes[1][name] for name in common)


def test_chosen_labels_and_modality(prepare, tree, tmp_path):
    write_series(tree / "mr", sop_class=MR, patient="P8", seed=70)
    assert prepare(labels="spleen,kidney", modality="CT").exit_code == 0
    datalist = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert datalist["labels"] == {"0": "background", "1": "spleen", "2": "kidney"}
    label = np.asarray(nib.load(tmp_path / "out" / datalist["training"][0]["label"]).dataobj)
    assert np.unique(label).tolist() == [0, 1]
    reasons = [row["reasons"] for row in _rows(tmp_path / "out").values()]
    assert "modality MR, asked for is CT" in reasons


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"key": "out/key"}, "must lie apart from the output"),
        ({"output": "tree/out"}, "must not lie in --source"),
        ({"source": "nowhere"}, "is not a folder"),
        ({"keep_tags": "NoSuchKeyword"}, "neither a DICOM keyword"),
        ({"validation_fraction": 0.9}, "would leave none for training"),
    ],
)
def test_arguments_that_do_not_fit(prepare, tree, tmp_path, options, message):
    paths = {name: tmp_path / value if isinstance(value, str) and name != "keep_tags" else value
             for name, value in options.items()}  # fmt: skip
    result = prepare(**paths)
    assert result.exit_code == 2
    assert message in result.output
    assert not (tmp_path / "out").exists()


def test_empty_folder_is_an_error(prepare, tmp_path):
    (tmp_path / "tree").mkdir()
    result = prepare()
    assert result.exit_code == 1
    assert "no usable series is left" in result.output
    assert not (tmp_path / "out").exists()


def test_a_seg_comes_before_an_rtstruct(prepare, tmp_path):
    folder = tmp_path / "tree" / "ct"
    write_series(folder)
    series = assemble_series([read_header(file) for file in folder.glob("*.dcm")])
    mask = np.zeros(series.shape, np.uint8)
    mask[2:5, 1:3, 3] = 1
    write_segmentation(tmp_path / "tree" / "seg.dcm", mask, series, [Segment(1, "spleen")], Algorithm("x", "1"))
    write_structure_set(tmp_path / "tree" / "rt.dcm", folder, {"spleen": [(1, SQUARE)]})
    assert prepare(validation_fraction=0).exit_code == 0
    (label,) = (tmp_path / "out" / "labelsTr").iterdir()
    np.testing.assert_array_equal(np.asarray(nib.load(label).dataobj), mask)
    rows = _rows(tmp_path / "out_key")
    assert rows["rt.dcm"]["reasons"] == "RTSTRUCT: its series has a label of spleen already"
    assert rows["patient_0001_ct_01"]["files"] == "ct/ (4 files); seg.dcm"


def test_one_seg_a_structure_comes_together(prepare, tmp_path):
    folder = tmp_path / "tree" / "ct"
    write_series(folder)
    series = assemble_series([read_header(file) for file in folder.glob("*.dcm")])
    large, small = np.zeros((2, *series.shape), np.uint8)
    large[1:5, 1:4, 1:3] = 1
    small[2:4, 2:5, 2] = 1
    for name, mask in (("a liver", large), ("b tumour", small), ("c liver", small)):
        write_segmentation(tmp_path / "tree" / f"{name}.dcm", mask, series, [Segment(1, name[2:])], Algorithm("x", "1"))
    write_structure_set(tmp_path / "tree" / "rt.dcm", folder, {"liver": [(0, SQUARE)], "spleen": [(3, SQUARE)]})
    assert prepare(validation_fraction=0).exit_code == 0
    datalist = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert datalist["labels"] == {"0": "background", "1": "liver", "2": "spleen", "3": "tumour"}
    label = np.asarray(nib.load(tmp_path / "out" / datalist["training"][0]["label"]).dataobj)
    expected = np.where(small == 1, 3, large)
    expected[1:4, 1:3, 3] = 2
    np.testing.assert_array_equal(label, expected)
    rows = _rows(tmp_path / "out_key")
    assert rows["c liver.dcm"]["reasons"] == "SEG: its series has a label of liver already"
    case = rows["patient_0001_ct_01"]
    assert case["files"] == "ct/ (4 files); a liver.dcm; b tumour.dcm; rt.dcm"
    overlap = int(np.count_nonzero(large[small == 1]))
    assert f"structures overlap in {overlap} voxels: the smaller one stays" in case["reasons"]
    assert "several files have a label of liver: the first one counts" in case["reasons"]
    assert rows.keys().isdisjoint({"a liver.dcm", "b tumour.dcm", "rt.dcm"})


def test_series_in_one_folder_are_named_file_by_file(prepare, tmp_path):
    tree = tmp_path / "tree"
    for index in range(2):
        write_series(tmp_path / f"s{index}", patient=f"P{index}", seed=index)
        tree.mkdir(exist_ok=True)
        for file in (tmp_path / f"s{index}").iterdir():
            file.rename(tree / f"{index}_{file.name}")
    (tree / "1_002.dcm").unlink()
    shutil.copy(tree / "0_001.dcm", tree / "again.dcm")
    result = prepare(validation_fraction=0)
    assert result.exit_code == 0, result.output
    assert "no labels: every case is unlabelled" in result.output
    rows = _rows(tmp_path / "out_key")
    assert rows["patient_0002_ct_01"]["files"] == "1_001.dcm; 1_003.dcm; 1_004.dcm"
    assert rows["again.dcm"]["reasons"] == "copy of another file of patient_0001_ct_01"
    assert "again.dcm" not in (tmp_path / "out" / "report.csv").read_text()


def test_a_damaged_index_is_named(prepare, tree, tmp_path):
    (tmp_path / ".out.work").mkdir()
    (tmp_path / ".out.work" / "index.sqlite").write_text("no database, but long enough to be taken for one" * 10)
    result = prepare()
    assert result.exit_code == 1
    assert "index.sqlite: file is not a database (should it stay so, remove " in result.output
    assert not (tmp_path / "out").exists()


def test_a_changed_file_is_converted_again(prepare, tree, tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(preparation, "write_dicom_dataset", full)
        assert prepare().exit_code == 1
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "out_key").exists()
    file = tree / "second" / "001.dcm"
    dataset = pydicom.dcmread(file)
    dataset.RescaleIntercept = 900
    dataset.save_as(file)
    written = []
    write = checks.write_nifti
    monkeypatch.setattr(checks, "write_nifti", lambda path, *rest: (written.append(path), write(path, *rest)))
    assert prepare().exit_code == 0
    assert len(written) == 1  # and the others of the interrupted run are not


@pytest.mark.real_data
def test_real_tree(prepare, real_data_root, tmp_path):
    shutil.copytree(real_data_root / "dicom", tmp_path / "tree" / "dicom")
    (tmp_path / "tree" / "tables").mkdir()
    for name in ("README.md", "hippocampus/subjects.csv"):
        shutil.copy(real_data_root / name, tmp_path / "tree" / "tables")
    result = prepare(keep_derived=True, validation_fraction=0)
    assert result.exit_code == 0, result.output
    rows = {name.removeprefix("dicom/"): row for name, row in _rows(tmp_path / "out_key").items()}
    assert rows["tables/"]["reasons"] == "not a DICOM file (2 files in one folder)"
    assert rows["tables/"]["files"] == "tables/README.md; tables/subjects.csv"
    assert "refers to 3 of 5 images" in rows["ct_2slices_rtstruct/invalid_reference_rt.dcm"]["reasons"]
    assert "refers to no series of images" in rows["ct_2slices_rtstruct/non_existent_reference_rt.dcm"]["reasons"]
    assert rows["ct_abdomen_jpeg2000_labels.nii.gz"]["reasons"].startswith("not a DICOM file")
    assert sum(row["status"] == "included" for row in rows.values()) == 4
    by_files = {row["files"].split("/")[1]: case for case, row in rows.items() if row["status"] == "included"}
    image = nib.load(tmp_path / "out" / "imagesTr" / f"{by_files['ct_abdomen_jpeg2000']}.nii.gz")
    reference = nib.load(real_data_root / "ct" / "images" / "ts_ct_dicom_512.nii.gz")
    np.testing.assert_array_equal(np.asarray(image.dataobj), np.asarray(reference.dataobj))
    np.testing.assert_allclose(image.affine, reference.affine, atol=1e-3)
