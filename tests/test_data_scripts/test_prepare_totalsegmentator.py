"""The script from end to end: invented folders with every fault, and a real CT with its masks."""

from __future__ import annotations

import csv
import importlib.util
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from monai_proto.data.bundle_metadata import read_label_names
from monai_proto.data.datalist import load_semi_supervised_datalist

SCRIPT = Path(__file__).parents[2] / "data_scripts" / "prepare_totalsegmentator.py"
SHAPE = (6, 5, 4)
AFFINE = np.diag([-1.5, -1.5, 1.5, 1.0])


@pytest.fixture(scope="session")
def prepare():
    """Runs the script in this process; all options as on the command line."""
    spec = importlib.util.spec_from_file_location("prepare_totalsegmentator", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def run(**options: object) -> Result:
        arguments = []
        for name, value in options.items():
            arguments += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
        return CliRunner().invoke(module.app, arguments)

    return run


def _save(file: Path, data: np.ndarray, affine: np.ndarray = AFFINE) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(data, affine), file)


def _box(*slices: slice) -> np.ndarray:
    mask = np.zeros(SHAPE, np.uint8)
    mask[slices] = 1
    return mask


LIVER, SPLEEN = _box(slice(0, 3)), _box(slice(4, 6))


def _subject(root: Path, name: str, seed: int, **masks: np.ndarray) -> Path:
    _save(root / name / "ct.nii.gz", np.random.default_rng(seed).integers(-1000, 1000, SHAPE).astype(np.int16))
    for mask, voxels in (masks or {"liver": LIVER, "spleen": SPLEEN}).items():
        _save(root / name / "segmentations" / f"{mask}.nii.gz", voxels)
    return root / name


@pytest.fixture
def source(tmp_path) -> Path:
    root = tmp_path / "dataset"
    for index in range(5):
        _subject(root, f"s{index:04d}", seed=index)
    return root


def _rows(output: Path) -> dict[str, dict[str, str]]:
    with open(output / "report.csv", encoding="utf-8", newline="") as stream:
        return {row["case"]: row for row in csv.DictReader(stream)}


def _label(output: Path, case: str) -> np.ndarray:
    return np.asarray(nib.load(output / "labelsTr" / f"{case}.nii.gz").dataobj)


def test_masks_become_numbered_label_maps_with_a_data_list_that_bundles_read(prepare, source, tmp_path):
    output = tmp_path / "prepared"
    result = prepare(source=source, output=output, organs="spleen,liver", labelled=2)
    assert result.exit_code == 0, result.output
    assert read_label_names(output) == ["background", "spleen", "liver"]
    for index in range(5):
        np.testing.assert_array_equal(_label(output, f"s{index:04d}"), SPLEEN + 2 * LIVER)
        image = nib.load(output / "imagesTr" / f"s{index:04d}.nii.gz")
        np.testing.assert_array_equal(image.dataobj, nib.load(source / f"s{index:04d}" / "ct.nii.gz").dataobj)
        assert not (output / "imagesTr" / f"s{index:04d}.nii.gz").is_symlink()
    lists = load_semi_supervised_datalist(output, 2)
    assert [len(lists[part]) for part in ("labelled", "unlabelled", "validation")] == [2, 2, 1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dataset", "prepared"]  # nothing of the work is left


def test_several_masks_make_one_organ_and_overlaps_are_reported_the_smaller_stays(prepare, source, tmp_path):
    left, right = _box(slice(0, 2), slice(0, 2)), _box(slice(0, 2), slice(3, 5))
    _subject(source, "s0009", 9, liver=LIVER, spleen=SPLEEN, kidney_left=left, kidney_right=right)
    output = tmp_path / "prepared"
    result = prepare(
        source=source, output=output, organs="liver,kidneys=kidney_left+kidney_right", missing_as_empty=True
    )
    assert result.exit_code == 0, result.output
    expected = np.where(left + right > 0, 2, LIVER)
    np.testing.assert_array_equal(_label(output, "s0009"), expected)
    assert "overlap in 32 voxels" in _rows(output)["s0009"]["reasons"]
    assert "kidney_left.nii.gz, segmentations/kidney_right.nii.gz: taken as empty" in _rows(output)["s0000"]["reasons"]
    assert _label(output, "s0000").max() == 1


def test_a_subject_without_a_mask_is_unlabelled(prepare, source, tmp_path):
    (source / "s0002" / "segmentations" / "spleen.nii.gz").unlink()
    _subject(source, "s0007", 7)
    for file in (source / "s0007" / "segmentations").iterdir():
        file.unlink()
    output = tmp_path / "prepared"
    assert prepare(source=source, output=output, organs="liver,spleen").exit_code == 0
    rows = _rows(output)
    assert (rows["s0002"]["split"], rows["s0007"]["split"]) == ("unlabelled", "unlabelled")
    assert "without segmentations/spleen.nii.gz: used as unlabelled" in rows["s0002"]["reasons"]
    assert "no masks in segmentations" in rows["s0007"]["reasons"]
    content = json.loads((output / "dataset.json").read_text())
    assert sorted(item["image"] for item in content["unlabelled"]) == [
        "imagesTr/s0002.nii.gz",
        "imagesTr/s0007.nii.gz",
    ]


def test_every_subject_that_is_left_out_is_named_with_the_reason(prepare, source, tmp_path):
    _subject(source, "bad_grid", 11, liver=LIVER, spleen=np.ones((6, 5, 5), np.uint8))
    shifted = _subject(source, "bad_place", 12, liver=LIVER)
    _save(shifted / "segmentations" / "spleen.nii.gz", SPLEEN, AFFINE + np.eye(4, k=3) * 2.0)
    _subject(source, "bad_values", 13, liver=LIVER, spleen=SPLEEN * 3)
    _subject(source, "empty", 14, liver=0 * LIVER, spleen=0 * SPLEEN)
    _subject(source, "twin", 0)
    truncated = _subject(source, "truncated", 15) / "segmentations" / "liver.nii.gz"
    truncated.write_bytes(truncated.read_bytes()[:60])
    broken_image = _subject(source, "broken_image", 16) / "ct.nii.gz"
    broken_image.write_bytes(b"no gzip")
    (_subject(source, "no_image", 17) / "ct.nii.gz").unlink()
    output = tmp_path / "prepared"
    result = prepare(source=source, output=output, organs="liver,spleen")
    assert result.exit_code == 0, result.output
    reasons = {case: row["reasons"] for case, row in _rows(output).items() if row["status"] == "excluded"}
    expected = {
        "bad_grid": "segmentations/spleen.nii.gz: shape mismatch",
        "bad_place": "segmentations/spleen.nii.gz: affine mismatch",
        "bad_values": "segmentations/spleen.nii.gz: mask values must be 0 and 1",
        "empty": "label is empty",
        "twin": "duplicate",
        "truncated": "segmentations/liver.nii.gz: unreadable",
        "broken_image": "imagesTr/broken_image.nii.gz: unreadable",
        "no_image": "subject without image",
    }
    assert set(reasons) == set(expected)
    for case, text in expected.items():
        assert text in reasons[case], (case, reasons[case])


def test_the_split_of_meta_csv_is_kept_and_patients_stay_together(prepare, source, tmp_path):
    splits = ["train", "train", "val", "test", "train"]
    lines = ["image_id;age;split", *(f"s{index:04d};50;{split}" for index, split in enumerate(splits))]
    (source / "meta.csv").write_text("\n".join(lines) + "\n")
    output = tmp_path / "prepared"
    assert prepare(source=source, output=output, organs="liver,spleen").exit_code == 0
    content = json.loads((output / "dataset.json").read_text())
    assert [item["patient_id"] for item in content["validation"]] == ["s0002"]
    assert [item["patient_id"] for item in content["test"]] == ["s0003"]
    assert "split as meta.csv gives it" in (output / "summary.txt").read_text()

    subjects = tmp_path / "subjects.csv"
    subjects.write_text("case,subject\n" + "".join(f"s{i:04d},{'one' if i < 4 else 'two'}\n" for i in range(5)))
    second = tmp_path / "second"
    result = prepare(source=source, output=second, organs="liver,spleen", subjects=subjects, validation_fraction=0.5)
    assert result.exit_code == 0, result.output
    content = json.loads((second / "dataset.json").read_text())
    sides = [{item["patient_id"] for item in content[part]} for part in ("training", "validation")]
    assert sorted(sides, key=str) == [{"one"}, {"two"}]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"organs": "liver,pancreas"}, "no subject has segmentations/pancreas.nii.gz; there are liver, spleen"),
        ({"organs": "liver,,spleen"}, "names with commas"),
        ({"organs": "a=liver,b=liver"}, "names the mask liver more than once"),
        ({"organs": "liver,spleen", "labelled": 99}, "--labelled 99 is more than the 5 pairs"),
        ({"organs": "liver", "image_name": "mri.nii.gz", "source": "nowhere"}, "nowhere is not a folder"),
    ],
)
def test_arguments_that_do_not_fit_are_named(prepare, source, tmp_path, options, message):
    result = prepare(**{"source": source, "output": tmp_path / "prepared", **options})
    assert result.exit_code == 2
    assert message in result.output
    assert not (tmp_path / "prepared").exists()


def test_an_output_with_content_and_an_unknown_split_are_errors(prepare, source, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    result = prepare(source=source, output=tmp_path / "full", organs="liver")
    assert (result.exit_code, "not an empty folder" in result.output) == (2, True)
    (source / "meta.csv").write_text("image_id;split\ns0000;somewhere\n")
    result = prepare(source=source, output=tmp_path / "new", organs="liver")
    assert (result.exit_code, "line 2: split must be train, validation or test, got 'somewhere'" in result.output) == (
        2,
        True,
    )


@pytest.mark.real_data
def test_the_masks_of_a_real_ct_become_its_label_map(prepare, real_data_root, tmp_path):
    names = json.loads((real_data_root / "ct" / "label_names.json").read_text())["total"]
    organs = {"liver": 5, "spleen": 1, "kidney_left": 3, "kidney_right": 2}
    assert all(names[str(value)] == organ for organ, value in organs.items())
    for case, name in (("ts_ct_body3mm", "s0001"), ("ts_ct_dicom_512", "s0002")):
        label = nib.load(real_data_root / "ct" / "labels" / f"{case}.nii.gz")
        values = np.asarray(label.dataobj)
        for organ, value in organs.items():
            _save(
                tmp_path / "set" / name / "segmentations" / f"{organ}.nii.gz",
                (values == value).astype(np.uint8),
                label.affine,
            )
        (tmp_path / "set" / name / "ct.nii.gz").symlink_to(real_data_root / "ct" / "images" / f"{case}.nii.gz")
    output = tmp_path / "prepared"
    result = prepare(source=tmp_path / "set", output=output, organs=",".join(organs), validation_fraction=0.5)
    assert result.exit_code == 0, result.output
    for case, name in (("ts_ct_body3mm", "s0001"), ("ts_ct_dicom_512", "s0002")):
        values = np.asarray(nib.load(real_data_root / "ct" / "labels" / f"{case}.nii.gz").dataobj)
        expected = sum(number * (values == value) for number, value in enumerate(organs.values(), start=1))
        np.testing.assert_array_equal(_label(output, name), expected)
