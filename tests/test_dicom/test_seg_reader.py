from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("highdicom", reason="the extra dicom is not installed: no highdicom")
import highdicom
import pydicom
from dicom_files import OBLIQUE, write_series
from highdicom.sr import CodedConcept

from monai_proto.dicom.header import read_header
from monai_proto.dicom.seg_reader import read_segmentation, read_segments
from monai_proto.dicom.series import assemble_series

SHAPE = (7, 6, 5)
VALUES = {"a": 1, "b": 2}


@pytest.fixture
def series(tmp_path):
    write_series(tmp_path / "s", shape=SHAPE, orientation=OBLIQUE)
    return _series(tmp_path / "s")


def _series(folder):
    return assemble_series([read_header(file) for file in folder.glob("*.dcm")])


def _masks(*boxes):
    """Frames (slices, rows, columns, segments) of boxes given as slices along columns, rows, slices."""
    masks = np.zeros((len(boxes), *SHAPE), np.uint8)
    for mask, box in zip(masks, boxes, strict=True):
        mask[box] = 1
    return masks.T.transpose(0, 1, 2, 3)


def _write(file, series, frames, kind="BINARY", reverse=False, change=None, **options):
    sources = [pydicom.dcmread(item.file) for item in series.instances]
    if reverse:
        sources, frames = sources[::-1], frames[::-1]
    descriptions = [
        highdicom.seg.SegmentDescription(
            segment_number=number,
            segment_label=name,
            segmented_property_category=CodedConcept("85756007", "SCT", "Tissue"),
            segmented_property_type=CodedConcept("85756007", "SCT", "Tissue"),
            algorithm_type="MANUAL",
        )
        for number, name in enumerate(("a", "b"), start=1)
    ]
    dataset = highdicom.seg.Segmentation(
        source_images=sources,
        pixel_array=frames,
        segmentation_type=kind,
        segment_descriptions=descriptions,
        series_instance_uid=highdicom.UID(),
        series_number=2,
        sop_instance_uid=highdicom.UID(),
        instance_number=1,
        manufacturer="x",
        manufacturer_model_name="x",
        software_versions="1",
        device_serial_number="1",
        **options,
    )
    if change:
        change(dataset)
    dataset.save_as(file)
    return file


FIRST = np.s_[1:3, 2:5, 1:2]  # one slice only: the file is sparse
SECOND = np.s_[4:6, 0:2, 0:5]


def _oracle(*boxes):
    label = np.zeros(SHAPE, np.uint8)
    for value, box in enumerate(boxes, start=1):
        label[box] = value
    return label


@pytest.mark.parametrize("reverse", [False, True], ids=["in order", "from the other end"])
@pytest.mark.parametrize("kind", ["BINARY", "FRACTIONAL", "LABELMAP"])
def test_each_kind_comes_back_in_place(series, tmp_path, kind, reverse):
    frames = _masks(FIRST, SECOND)
    options = {"max_fractional_value": 200} if kind == "FRACTIONAL" else {}
    file = _write(tmp_path / "seg.dcm", series, frames, kind, reverse, **options)
    label, notes = read_segmentation(file, series, VALUES)
    np.testing.assert_array_equal(label, _oracle(FIRST, SECOND))
    assert notes == (["is fractional: half and more is inside"] if kind == "FRACTIONAL" else [])
    assert read_segments(file) == ((series.first.series_uid,), {1: "a", 2: "b"})


def test_half_of_a_fraction_is_inside(series, tmp_path):
    frames = _masks(FIRST, SECOND).astype(float)
    frames[..., 1] *= 0.4
    file = _write(tmp_path / "seg.dcm", series, frames, "FRACTIONAL", max_fractional_value=200)
    label, _ = read_segmentation(file, series, VALUES)
    np.testing.assert_array_equal(label, _oracle(FIRST))


def test_slices_far_apart_are_not_drawn_together(series, tmp_path):
    frames = _masks(np.s_[1:3, 2:5, 0:5:4], SECOND)
    frames[..., 1] = 0
    label, _ = read_segmentation(_write(tmp_path / "seg.dcm", series, frames), series, VALUES)
    np.testing.assert_array_equal(label, _oracle(np.s_[1:3, 2:5, 0:5:4]))


def test_the_smaller_of_two_that_overlap_stays(series, tmp_path):
    inner, outer = np.s_[2:4, 2:4, 2:3], np.s_[1:6, 1:5, 1:4]
    label, notes = read_segmentation(_write(tmp_path / "s.dcm", series, _masks(inner, outer)), series, VALUES)
    oracle = _oracle(np.s_[0:0], outer)
    oracle[inner] = 1
    np.testing.assert_array_equal(label, oracle)
    assert notes == ["structures overlap in 4 voxels: the smaller one stays"]


def test_other_segments_are_noted(series, tmp_path):
    label, notes = read_segmentation(_write(tmp_path / "s.dcm", series, _masks(FIRST, SECOND)), series, {"b": 7})
    np.testing.assert_array_equal(label, _oracle(np.s_[0:0], SECOND) // 2 * 7)
    assert notes == ["segment a is not asked for"]


def _drop_geometry(dataset):
    for group in dataset.PerFrameFunctionalGroupsSequence:
        del group.PlanePositionSequence
    del dataset.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence


def _move(axis, distance):
    def change(dataset):
        for group in dataset.PerFrameFunctionalGroupsSequence:
            position = group.PlanePositionSequence[0].ImagePositionPatient
            position[axis] = float(position[axis]) + distance

    return change


def _thin(dataset):
    dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].SpacingBetweenSlices = 6


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_move(0, 0.01), "other pixel spacing, orientation or position"),
        (_move(2, 1000), "reaches beyond the images"),
        (_drop_geometry, "has frames without position"),
        (_thin, "slices 6 mm apart"),
        (lambda d: d.__delattr__("SegmentSequence"), "is no valid SEG"),
        (lambda d: setattr(d, "SOPClassUID", "1.2.840.10008.5.1.4.1.1.2"), "is no valid SEG"),
    ],
)
def test_what_does_not_fit_is_refused(series, tmp_path, change, message):
    file = _write(tmp_path / "seg.dcm", series, _masks(FIRST, SECOND), change=change)
    with pytest.raises(ValueError, match=message):
        read_segmentation(file, series, VALUES)


def test_mask_beyond_the_images_is_refused(series, tmp_path):
    write_series(tmp_path / "fewer", shape=(7, 6, 3), orientation=OBLIQUE)
    file = _write(tmp_path / "seg.dcm", series, _masks(FIRST, SECOND))
    with pytest.raises(ValueError, match="it reaches beyond the images"):
        read_segmentation(file, _series(tmp_path / "fewer"), VALUES)
    label, _ = read_segmentation(file, _series(tmp_path / "fewer"), {"a": 1})  # what is asked for lies inside
    np.testing.assert_array_equal(label, _oracle(FIRST)[..., :3])
