from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("pydicom", reason="the extra dicom is not installed: no pydicom")
import pydicom
from dicom_files import OBLIQUE, write_series, write_structure_set

from monai_proto.dicom.header import read_header
from monai_proto.dicom.rtstruct import read_structure_set
from monai_proto.dicom.series import assemble_series

SQUARE = np.array([(1.5, 1.5), (8.5, 1.5), (8.5, 7.5), (1.5, 7.5)])
HOLE = np.array([(3.5, 3.5), (5.5, 3.5), (5.5, 5.5), (3.5, 5.5)])


@pytest.fixture
def source(tmp_path):
    write_series(tmp_path / "s", shape=(12, 10, 4), orientation=OBLIQUE)
    return tmp_path / "s"


def _series(source):
    return assemble_series([read_header(file) for file in source.glob("*.dcm")])


def test_contour_in_a_contour_is_a_hole(source, tmp_path):
    write_structure_set(
        tmp_path / "rt.dcm", source, {"ring": [(1, SQUARE), (1, HOLE), (2, SQUARE)], "dot": [(3, HOLE)]}
    )
    label, notes = read_structure_set(tmp_path / "rt.dcm", _series(source), {"ring": 1, "dot": 2})
    oracle = np.zeros((12, 10, 4), np.uint8)
    oracle[2:9, 2:8, 1:3] = 1
    oracle[4:6, 4:6, 1] = 0
    oracle[4:6, 4:6, 3] = 2
    np.testing.assert_array_equal(label, oracle)
    assert notes == []


def test_small_structure_stays_visible_in_a_large_one(source, tmp_path):
    write_structure_set(
        tmp_path / "rt.dcm", source, {"inner": [(1, HOLE)], "outer": [(1, SQUARE)], "other": [(1, HOLE)]}
    )
    label, notes = read_structure_set(tmp_path / "rt.dcm", _series(source), {"outer": 1, "inner": 2})
    assert np.bincount(label.ravel()).tolist()[1:] == [42 - 4, 4]
    assert notes == ["structures not asked for: other", "structures overlap in 4 voxels: the smaller one stays"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.ROIContourSequence[0].ContourSequence[0].ContourData.__setitem__(2, "999"), "lies on no slice"),
        (lambda d: setattr(d.ROIContourSequence[0], "ReferencedROINumber", 7), "ROI number 7, which it does not decl"),
        (lambda d: d.__delattr__("ReferencedFrameOfReferenceSequence"), "refers to no series"),
        (lambda d: d.__delattr__("ROIContourSequence"), "has no closed contour"),
        (
            lambda d: setattr(d.ROIContourSequence[0].ContourSequence[0].ContourImageSequence[0],
                              "ReferencedSOPInstanceUID", "1.2.3"),
            "refers to 1 of .* images that are not in the series",
        ),
    ],
)  # fmt: skip
def test_invalid_structure_sets_are_refused(source, tmp_path, change, message):
    dataset = write_structure_set(tmp_path / "rt.dcm", source, {"a": [(1, SQUARE)]})
    change(dataset)
    dataset.save_as(tmp_path / "rt.dcm")
    with pytest.raises(ValueError, match=message):
        read_structure_set(tmp_path / "rt.dcm", _series(source), {"a": 1})


@pytest.mark.real_data
def test_real_structure_sets(real_data_root):
    folder = real_data_root / "dicom" / "ct_2slices_rtstruct"
    series = assemble_series([read_header(file) for file in folder.glob("ct_*.dcm")])
    label, notes = read_structure_set(folder / "rt.dcm", series, {"ROI-1": 1})
    square = np.prod(24.0 / np.array(pydicom.dcmread(folder / "ct_1.dcm").PixelSpacing))  # 24 mm wide, with a hole
    assert 0.5 * square < (label == 1).sum() < square
    assert set(np.flatnonzero(label.any(axis=(0, 1)))) == {0}
    assert "another frame of reference" in notes[0]
    with pytest.raises(ValueError, match="3 of 5 images that are not in the series"):
        read_structure_set(folder / "invalid_reference_rt.dcm", series, {"ROI-1": 1})
    with pytest.raises(ValueError, match="refers to no series of images"):
        read_structure_set(folder / "non_existent_reference_rt.dcm", series, {"ROI-1": 1})
