"""The command dicom-seg from end to end: place of the mask, bad input, a full disk, real series."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from importlib import import_module
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from typer.testing import CliRunner, Result

pytest.importorskip("highdicom", reason="the extra dicom is not installed: no highdicom")
import highdicom
import pydicom
from dicom_bundle import THRESHOLD, write_threshold_bundle
from dicom_files import OBLIQUE, SR, new_dataset, write_series
from PIL import Image

from monai_proto.cli.main import app
from monai_proto.dicom.header import read_header
from monai_proto.dicom.seg_reader import read_segmentation
from monai_proto.dicom.series import assemble_series

CORONAL = (1, 0, 0, 0, 0, -1)
HIPPOCAMPUS = Path(__file__).parents[2] / "bundles" / "hippocampus_mri_semisupervised"
ABDOMEN = Path(__file__).parents[2] / "bundles" / "abdomen_ct_semisupervised"


@pytest.fixture
def segment(tmp_path):
    """Runs the command on tmp_path/series into tmp_path/out; further options as on the command line."""

    def run(bundle: Path | None = None, source: Path = tmp_path / "series", **options: object) -> Result:
        if bundle is None:
            bundle = tmp_path / "bundle"
            if not bundle.exists():
                write_threshold_bundle(bundle)
        arguments = ["dicom-seg", "--bundle", str(bundle), "--input", str(source), "--output", str(tmp_path / "out")]
        for name, value in options.items():
            arguments += [f"--{name}", *([] if value is True else [str(value)])]
        return CliRunner().invoke(app, arguments)

    return run


def _series(folder: Path):
    return assemble_series([read_header(file) for file in sorted(folder.iterdir())], keep_derived=True)


def _require_no_errors(file: Path) -> None:
    if not shutil.which("dciodvfy"):
        pytest.skip("dciodvfy of dicom3tools is not installed")
    said = subprocess.run(["dciodvfy", file], capture_output=True, text=True, check=False)
    assert [line for line in (said.stdout + said.stderr).splitlines() if line.startswith("Error")] == []


def _require_refused(result: Result, tmp_path: Path, message: str, code: int = 2) -> None:
    """The message, the exit status, and nothing left behind."""
    assert message in " ".join(result.stderr.split()), result.output
    assert result.exit_code == code
    assert not (tmp_path / "out").exists()
    assert not [path for path in tmp_path.iterdir() if "partial" in path.name]


@pytest.mark.parametrize("invert", [True, False], ids=["own axes", "flipped axes"])
@pytest.mark.parametrize("orientation", [(1, 0, 0, 0, 1, 0), CORONAL, OBLIQUE], ids=["axial", "coronal", "oblique"])
def test_every_voxel_is_where_the_model_saw_it(segment, tmp_path, orientation, invert):
    voxels, affine = write_series(tmp_path / "series", shape=(7, 6, 5), orientation=orientation)
    result = segment(write_threshold_bundle(tmp_path / "bundle", invert), nifti=True, overview=True)
    assert result.exit_code == 0, result.output
    assert f"spleen: {(voxels > THRESHOLD).sum()} voxels" in result.output
    series = _series(tmp_path / "series")
    label, _ = read_segmentation(tmp_path / "out" / "segmentation.dcm", series, {"spleen": 1, "liver": 2})
    np.testing.assert_array_equal(label, voxels > THRESHOLD)
    mask, image = (nib.load(tmp_path / "out" / f"{name}.nii.gz") for name in ("segmentation", "image"))
    np.testing.assert_array_equal(np.asarray(mask.dataobj), voxels > THRESHOLD)
    np.testing.assert_array_equal(np.asarray(image.dataobj), voxels)
    for saved in (mask, image):
        np.testing.assert_allclose(saved.affine, np.diag([-1, -1, 1, 1]) @ affine, atol=1e-3)
    picture = np.asarray(Image.open(tmp_path / "out" / "overview.png").convert("RGB")).astype(int)
    assert (np.ptp(picture, axis=-1) > 50).any()  # coloured outlines
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "out", "series"]


def test_module_and_console_command_are_the_same_program():
    assert 'monai-proto = "monai_proto.cli.main:app"' in (Path(__file__).parents[2] / "pyproject.toml").read_text()
    assert import_module("monai_proto.__main__").app is app
    assert callable(import_module("monai_proto.apps.dicom").segment_series)


def test_other_files_are_left_aside_and_a_series_can_be_chosen(segment, tmp_path):
    voxels, _ = write_series(tmp_path / "series" / "a")
    (tmp_path / "series" / "notes.txt").write_text("no DICOM")
    new_dataset(tmp_path / "x", SR).save_as(tmp_path / "series" / "report.dcm", enforce_file_format=True)
    result = segment()
    assert result.exit_code == 0, result.output
    assert "left aside: 1 files that are not DICOM" in result.output
    assert "left aside: 1 Basic Text SR Storage" in result.output
    shutil.rmtree(tmp_path / "out")
    write_series(tmp_path / "series" / "b", seed=1)
    _require_refused(segment(), tmp_path, "holds 2 series, choose one by --series")
    _require_refused(segment(series="1.2.3"), tmp_path, "has no series 1.2.3")
    uid = pydicom.dcmread(tmp_path / "series" / "a" / "001.dcm").SeriesInstanceUID
    result = segment(series=uid)
    assert result.exit_code == 0, result.output
    assert f"spleen: {(voxels > THRESHOLD).sum()} voxels" in result.output
    assert pydicom.dcmread(tmp_path / "out" / "segmentation.dcm").ReferencedSeriesSequence[0].SeriesInstanceUID == uid


def _truncate(folder: Path, length: int) -> None:
    (folder / "003.dcm").write_bytes((folder / "003.dcm").read_bytes()[:length])


def _as_video(dataset) -> None:
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.100"
    dataset.PixelData = pydicom.encaps.encapsulate([b"video"])
    dataset["PixelData"].is_undefined_length = True


@pytest.mark.parametrize(
    ("change", "spoil", "message"),
    [
        (None, lambda folder: shutil.rmtree(folder), "is not a folder"),
        (None, lambda folder: [file.unlink() for file in folder.iterdir()], "holds no DICOM images"),
        (None, lambda folder: (folder / "002.dcm").unlink(), "missing slices: 1"),
        (None, lambda folder: _truncate(folder, -7), "slice 2 of 4: pixels cannot be decoded, a truncated"),
        (None, lambda folder: _truncate(folder, 500), "003.dcm: damaged or truncated DICOM header"),
        (None, lambda folder: (folder / "away.dcm").symlink_to("/etc/hostname"), "leads outside of the folder"),
        (lambda i, d: setattr(d, "PatientID", f"P{i % 2}"), None, "two patients in one series"),
        (lambda i, d: _as_video(d), None, "unsupported transfer syntax MPEG2"),
        (lambda i, d: setattr(d, "ImageType", ["ORIGINAL", "PRIMARY", "LOCALIZER"]), None, "localizer"),
        (lambda i, d: setattr(d, "Modality", "MR"), None, "Series is of modality MR, bundle"),
    ],
)  # fmt: skip
def test_bad_input_is_named_and_nothing_written(segment, tmp_path, change, spoil, message):
    write_series(tmp_path / "series", change=change)
    if spoil:
        spoil(tmp_path / "series")
    _require_refused(segment(), tmp_path, message)


def test_objects_that_are_no_images(segment, tmp_path):
    (tmp_path / "series").mkdir()
    new_dataset(tmp_path / "x", SR).save_as(tmp_path / "series" / "report.dcm", enforce_file_format=True)
    _require_refused(segment(), tmp_path, "holds no DICOM images")


def test_output_that_exists_stays_as_it_is(segment, tmp_path):
    write_series(tmp_path / "series")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "kept").write_text("mine")
    result = segment()
    assert (result.exit_code, "is not an empty folder" in result.stderr) == (2, True)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["kept"]


def test_a_full_disk_leaves_nothing(segment, tmp_path, monkeypatch):
    write_series(tmp_path / "series")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)  # where a file system says so at the latest
    _require_refused(segment(), tmp_path, "No space left on device", code=1)
    monkeypatch.undo()
    assert segment().exit_code == 0


@pytest.mark.parametrize(
    ("options", "message", "code"),
    [
        ({"network_def": "$1 / 0"}, "failed (ZeroDivisionError: division by zero)", 1),
        ({"run": ["$None"]}, "saved 0 NIfTI files into output_dir, expected one mask", 2),
        ({"network_def": "$torch.nn.AvgPool3d(2)", "invert": False}, "does not lie on the image's grid", 2),
        ({"value": 3}, "label has the values [3], which no segment has", 2),
    ],
)
def test_bundle_that_does_not_work(segment, tmp_path, options, message, code):
    write_series(tmp_path / "series")
    _require_refused(segment(write_threshold_bundle(tmp_path / "bundle", **options)), tmp_path, message, code)


def test_folder_that_is_no_bundle_and_checkpoint_that_is_none(segment, tmp_path):
    write_series(tmp_path / "series")
    _require_refused(segment(tmp_path / "series"), tmp_path, "is a folder, but no bundle")
    _require_refused(segment(checkpoint=tmp_path / "none.pt"), tmp_path, "none.pt does not exist")


def test_metadata_beside_the_checkpoint_names_the_classes(segment, tmp_path):
    write_series(tmp_path / "series")
    bundle = write_threshold_bundle(tmp_path / "bundle")
    (tmp_path / "trained").mkdir()
    text = (bundle / "configs" / "metadata.json").read_text()
    (tmp_path / "trained" / "metadata.json").write_text(text.replace("spleen", "left kidney"))
    (tmp_path / "trained" / "model.pt").touch()
    result = segment(bundle, checkpoint=tmp_path / "trained" / "model.pt")
    assert result.exit_code == 0, result.output
    segments = pydicom.dcmread(tmp_path / "out" / "segmentation.dcm").SegmentSequence
    assert [item.SegmentLabel for item in segments] == ["left kidney", "liver"]
    assert segments[0].SegmentedPropertyTypeCodeSequence[0].CodeMeaning == "Kidney"


@pytest.mark.real_data
@pytest.mark.parametrize(("name", "slices"), [("mr_hippocampus_crop_1", 32), ("mr_hippocampus_crop_2", 35)])
def test_real_hippocampus_reaches_a_valid_seg(segment, real_data_root, tmp_path, name, slices):
    source = real_data_root / "dicom" / name
    result = segment(HIPPOCAMPUS, source, nifti=True)
    assert result.exit_code == 0, result.output
    file, series = tmp_path / "out" / "segmentation.dcm", _series(source)
    assert len(series.slices) == slices
    _require_no_errors(file)
    names = {"Anterior hippocampus": 1, "Posterior hippocampus": 2}
    label, _ = read_segmentation(file, series, names)
    assert all((label == value).sum() > 100 for value in (1, 2))
    # pydicom: codes, and a reference to every source instance
    dataset = pydicom.dcmread(file)
    for item, modifier in zip(dataset.SegmentSequence, ("Anterior", "Posterior"), strict=True):
        code = item.SegmentedPropertyTypeCodeSequence[0]
        assert (code.CodeValue, code.SegmentedPropertyTypeModifierCodeSequence[0].CodeMeaning) == ("5366008", modifier)
    referenced = dataset.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    assert {item.ReferencedSOPInstanceUID for item in referenced} == {i.sop_instance_uid for i in series.instances}
    # highdicom: each voxel of its volume lies on one of the series, to 1e-3 mm
    volume = highdicom.seg.segread(file).get_volume(combine_segments=True)
    indices = np.argwhere(volume.array)
    places = np.c_[indices, np.ones(len(indices))] @ volume.affine.T
    found = (places @ np.linalg.inv(series.affine_lps).T)[:, :3]
    np.testing.assert_allclose(
        np.rint(found) @ series.affine_lps[:3, :3].T, found @ series.affine_lps[:3, :3].T, atol=1e-3
    )
    np.testing.assert_array_equal(label[tuple(np.rint(found).astype(int).T)], volume.array[tuple(indices.T)])
    assert len(indices) == np.count_nonzero(label)
    # SimpleITK: its own reading of the series has the grid of the mask
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(source)))
    image, mask = reader.Execute(), sitk.ReadImage(str(tmp_path / "out" / "segmentation.nii.gz"))
    for corner in ((0, 0, 0), tuple(size - 1 for size in image.GetSize())):
        here = mask.TransformPhysicalPointToContinuousIndex(image.TransformIndexToPhysicalPoint(corner))
        np.testing.assert_allclose(here, corner, atol=1e-3)
    assert image.GetSize() == mask.GetSize()
    np.testing.assert_array_equal(sitk.GetArrayFromImage(mask).T, label)


@pytest.mark.slow
@pytest.mark.real_data
def test_real_jpeg2000_abdomen_through_the_ct_bundle(segment, real_data_root, tmp_path):
    """Its weights are from phantoms: what counts is the way there and back, not the organs."""
    source = real_data_root / "dicom" / "ct_abdomen_jpeg2000"
    result = segment(ABDOMEN, source, overview=True)
    assert result.exit_code == 0, result.output
    _require_no_errors(tmp_path / "out" / "segmentation.dcm")
    names = {"Liver": 1, "Spleen": 2, "Left kidney": 3, "Right kidney": 4, "Aorta": 5}
    label, _ = read_segmentation(tmp_path / "out" / "segmentation.dcm", _series(source), names)
    assert label.shape == (512, 512, 20)
    assert (label == 1).any()
    assert (tmp_path / "out" / "overview.png").is_file()
