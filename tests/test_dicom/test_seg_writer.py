from __future__ import annotations

import shutil
import subprocess

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

pytest.importorskip("highdicom", reason="the extra dicom is not installed: no highdicom")
import highdicom
import pydicom
from dicom_files import OBLIQUE, write_series

from monai_proto.data.nifti import write_nifti
from monai_proto.data.voxel_grid import lay_on_grid
from monai_proto.dicom.header import read_header
from monai_proto.dicom.seg_reader import read_segmentation
from monai_proto.dicom.seg_writer import Algorithm, write_segmentation
from monai_proto.dicom.segments import Segment, code_of_name, segments_from_metadata
from monai_proto.dicom.series import assemble_series

SEGMENTS = [Segment(1, "kidney_left", type=("64033007", "SCT", "Kidney"), side="left"), Segment(3, "organ x")]
ALGORITHM = Algorithm("test model", "1.2")


def _require_no_errors(file):
    if not shutil.which("dciodvfy"):
        pytest.skip("dciodvfy of dicom3tools is not installed")
    said = subprocess.run(["dciodvfy", file], capture_output=True, text=True, check=False)
    errors = [line for line in (said.stdout + said.stderr).splitlines() if line.startswith("Error")]
    assert errors == []


@pytest.fixture(params=[(1, 0, 0, 0, 1, 0), OBLIQUE], ids=["axial", "oblique"])
def written(request, tmp_path):
    _, affine = write_series(tmp_path / "s", shape=(9, 8, 5), orientation=request.param)
    series = assemble_series([read_header(file) for file in (tmp_path / "s").glob("*.dcm")])
    label = np.zeros(series.shape, np.uint8)
    label[1:4, 2:7, 1:3] = 1
    label[6, 3, 4] = 3
    write_segmentation(tmp_path / "seg.dcm", label, series, SEGMENTS, ALGORITHM)
    return tmp_path / "seg.dcm", series, label, affine


def test_mask_lies_on_the_source_grid_for_every_reader(written):
    file, series, label, affine = written
    back, notes = read_segmentation(file, series, {"kidney_left": 1, "organ x": 3})
    np.testing.assert_array_equal(back, label)
    assert notes == []
    # highdicom, by geometry alone: the corner voxels of the mask lie where those of the series do
    volume = highdicom.seg.segread(file).get_volume(combine_segments=True)
    first = np.argwhere(volume.array)[0]
    place = volume.affine @ [*first, 1]
    index = np.linalg.inv(affine) @ place
    np.testing.assert_allclose(index[:3], np.rint(index[:3]), atol=1e-3)
    assert label[tuple(np.rint(index[:3]).astype(int))] == {1: 1, 2: 3}[volume.array[tuple(first)]]
    # SimpleITK: the frames of the file, in the patient
    frames = sitk.GetArrayFromImage(sitk.ReadImage(str(file)))  # it knows nothing of a SEG's geometry
    dataset = pydicom.dcmread(file)
    for frame, group in zip(frames, dataset.PerFrameFunctionalGroupsSequence, strict=True):
        number = group.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        position = np.array(group.PlanePositionSequence[0].ImagePositionPatient, float)
        depth = np.linalg.inv(affine) @ [*position, 1]
        np.testing.assert_allclose(affine @ np.rint(depth), [*position, 1], atol=1e-3)
        np.testing.assert_array_equal(frame.T > 0, label[..., round(depth[2])] == SEGMENTS[number - 1].value)


def test_names_codes_references_and_algorithm(written):
    file, series, _, _ = written
    dataset = pydicom.dcmread(file)
    kidney = dataset.SegmentSequence[0]
    assert (kidney.SegmentLabel, kidney.SegmentAlgorithmType) == ("kidney_left", "AUTOMATIC")
    kind = kidney.SegmentedPropertyTypeCodeSequence[0]
    assert kind.CodeValue == "64033007"
    assert kind.SegmentedPropertyTypeModifierCodeSequence[0].CodeMeaning == "Left"
    identification = kidney.SegmentationAlgorithmIdentificationSequence[0]
    assert (identification.AlgorithmName, identification.AlgorithmVersion) == ("test model", "1.2")
    reference = dataset.ReferencedSeriesSequence[0]
    assert reference.SeriesInstanceUID == series.first.series_uid
    named = {item.ReferencedSOPInstanceUID for item in reference.ReferencedInstanceSequence}
    assert named == {instance.sop_instance_uid for instance in series.instances}
    assert dataset.StudyInstanceUID == series.first.study_uid
    assert dataset.FrameOfReferenceUID == series.first.frame_of_reference_uid
    _require_no_errors(file)


def test_flipped_nifti_comes_back_in_place(written, tmp_path):
    _, series, label, _ = written
    flipped = series.affine.copy()
    flipped[:3, 3] += flipped[:3, 1] * (label.shape[1] - 1)
    flipped[:3, 1] *= -1
    write_nifti(tmp_path / "flipped.nii.gz", label[:, ::-1], flipped)
    image = nib.load(tmp_path / "flipped.nii.gz")
    laid = lay_on_grid(np.asarray(image.dataobj), image.affine, series.shape, series.affine)
    np.testing.assert_array_equal(laid, label)


def test_empty_mask_and_wrong_labels(written, tmp_path):
    _, series, label, _ = written
    write_segmentation(tmp_path / "empty.dcm", np.zeros_like(label), series, SEGMENTS, ALGORITHM)
    back, _ = read_segmentation(tmp_path / "empty.dcm", series, {"kidney_left": 1, "organ x": 3})
    assert not back.any()
    _require_no_errors(tmp_path / "empty.dcm")
    with pytest.raises(ValueError, match=r"values \[2\], which no segment has"):
        write_segmentation(tmp_path / "x.dcm", np.where(label == 1, 2, label), series, SEGMENTS, ALGORITHM)
    with pytest.raises(ValueError, match="shape of the series"):
        write_segmentation(tmp_path / "x.dcm", label[1:], series, SEGMENTS, ALGORITHM)
    with pytest.raises(ValueError, match="has none of the named segments; it has kidney_left, organ x"):
        read_segmentation(tmp_path / "empty.dcm", series, {"liver": 1})
    assert not (tmp_path / "x.dcm").exists()


def test_segmentation_of_another_grid_is_refused(written, tmp_path):
    file, _, _, _ = written
    for name, changes in {"spacing": {"spacing": (1.4, 2, 3)}, "size": {"shape": (3, 8, 5)}}.items():
        write_series(tmp_path / name, **{"shape": (9, 8, 5), **changes})
        other = assemble_series([read_header(path) for path in (tmp_path / name).glob("*.dcm")])
        with pytest.raises(ValueError, match="does not lie on the grid of its series"):
            read_segmentation(file, other, {"kidney_left": 1})


def test_codes_come_from_the_metadata_else_from_the_name():
    def metadata(**own):
        channels = {"0": "background", "1": "liver", "2": "gallbladder_x", "3": "liver tumour", "4": "anterior"}
        return {"network_data_format": {"outputs": {"pred": {"channel_def": channels}}}, **own}

    liver, unknown, _, anterior = segments_from_metadata(metadata())
    assert liver.type == ("10200004", "SCT", "Liver")
    assert not unknown.has_own_code
    assert not anterior.has_own_code  # a word of position is no structure
    assert code_of_name("tumour")[0] == "108369006"
    assert code_of_name("kidney_left") == code_of_name("left_kidney") == ("64033007", "SCT", "Kidney")
    own = {"4": {"name": "Anterior hippocampus", "type": ["5366008", "SCT", "Hippocampus"]}}
    assert segments_from_metadata(metadata(dicom_segments=own))[3].type == ("5366008", "SCT", "Hippocampus")
    with pytest.raises(ValueError, match=r"a code is \[value, scheme, meaning\]"):
        segments_from_metadata(metadata(dicom_segments={"1": {"type": ["1"]}}))
    with pytest.raises(ValueError, match="channel_def"):
        segments_from_metadata({})


@pytest.mark.real_data
def test_real_ct_labels_make_a_round_trip(real_data_root, tmp_path):
    folder = real_data_root / "dicom"
    series = assemble_series([read_header(file) for file in (folder / "ct_abdomen_jpeg2000").iterdir()])
    given = nib.load(folder / "ct_abdomen_jpeg2000_labels.nii.gz")
    stored = np.asarray(given.dataobj)
    label = lay_on_grid(stored, given.affine, series.shape, series.affine)
    assert not np.array_equal(label, stored)  # it lies flipped on disk
    segments = [Segment(int(value), f"label {value}") for value in np.unique(label) if value]
    write_segmentation(tmp_path / "seg.dcm", label, series, segments, ALGORITHM)
    _require_no_errors(tmp_path / "seg.dcm")
    back, _ = read_segmentation(tmp_path / "seg.dcm", series, {segment.name: segment.value for segment in segments})
    write_nifti(tmp_path / "back.nii.gz", back, series.affine)
    saved = nib.load(tmp_path / "back.nii.gz")
    laid = lay_on_grid(np.asarray(saved.dataobj), saved.affine, stored.shape, given.affine)
    for segment in segments:
        here, there = laid == segment.value, stored == segment.value
        assert 2 * (here & there).sum() / (here.sum() + there.sum()) == 1.0
