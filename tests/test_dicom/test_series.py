from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

pytest.importorskip("pydicom", reason="the extra dicom is not installed: no pydicom")
import pydicom
from dicom_files import CT, OBLIQUE, SR, new_dataset, write_series
from pydicom.uid import JPEG2000Lossless, JPEGLosslessSV1, JPEGLSLossless, RLELossless, generate_uid

from monai_proto.data.nifti import write_nifti
from monai_proto.dicom.header import FrameHeader, NotDicomError, read_header
from monai_proto.dicom.pixels import read_pixels
from monai_proto.dicom.series import DicomSeries, SeriesRejectedError, assemble_series
from monai_proto.dicom.series_folder import walk_files


def _headers(folder: Path):
    return [read_header(file) for file in sorted(folder.glob("*.dcm"))]


def _rejected(folder: Path) -> str:
    with pytest.raises(SeriesRejectedError) as caught:
        assemble_series(_headers(folder))
    return str(caught.value)


def test_oblique_series_reaches_nifti_in_place(tmp_path):
    expected, affine = write_series(tmp_path / "s", orientation=OBLIQUE)
    series = assemble_series(_headers(tmp_path / "s"))
    np.testing.assert_array_equal(read_pixels(series), expected)
    np.testing.assert_allclose(series.affine_lps, affine, atol=1e-5)
    write_nifti(tmp_path / "s.nii.gz", read_pixels(series), series.affine)
    saved = nib.load(tmp_path / "s.nii.gz")
    np.testing.assert_allclose(saved.affine, np.diag([-1, -1, 1, 1]) @ affine, atol=1e-3)
    assert saved.header["descrip"].tobytes().strip(b"\0") == b""


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEGLSLossless, RLELossless])
def test_compressed_pixels_are_exact(tmp_path, syntax):
    expected, _ = write_series(
        tmp_path, shape=(64, 48, 2), change=lambda index, dataset: dataset.compress(syntax, generate_instance_uid=False)
    )
    headers = _headers(tmp_path)
    assert {header.transfer_syntax_uid for header in headers} == {syntax}
    np.testing.assert_array_equal(read_pixels(assemble_series(headers)), expected)


def test_lossless_jpeg_is_exact(tmp_path):
    gdcm = pytest.importorskip("gdcm", reason="the extra dicom is not installed: no gdcm")
    expected, _ = write_series(tmp_path, shape=(64, 48, 2))
    for file in tmp_path.glob("*.dcm"):
        reader, change, writer = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), gdcm.ImageWriter()
        reader.SetFileName(str(file))
        assert reader.Read()
        change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGLosslessProcess14_1))
        change.SetInput(reader.GetImage())
        assert change.Change()
        writer.SetFileName(str(file))
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        assert writer.Write()
    headers = _headers(tmp_path)
    assert {header.transfer_syntax_uid for header in headers} == {JPEGLosslessSV1}
    np.testing.assert_array_equal(read_pixels(assemble_series(headers)), expected)


def test_scale_that_differs_between_slices_is_honoured(tmp_path):
    def change(index, dataset):
        dataset.RescaleSlope, dataset.RescaleIntercept = [1, 0.5, 3, 100][index], 0

    write_series(tmp_path, change=change)
    files = sorted(tmp_path.glob("*.dcm"), reverse=True)
    oracle = [pydicom.dcmread(file).pixel_array.T * float(pydicom.dcmread(file).RescaleSlope) for file in files]
    voxels = read_pixels(assemble_series(_headers(tmp_path)))
    assert voxels.dtype == np.float32
    np.testing.assert_allclose(voxels, np.stack(oracle, axis=-1))


def test_enhanced_multi_frame_is_ordered_by_its_frames_places(tmp_path):
    expected, affine = write_series(tmp_path / "s")
    slices = [pydicom.dcmread(file) for file in sorted((tmp_path / "s").glob("*.dcm"), reverse=True)]
    order = [2, 0, 3, 1]
    dataset = new_dataset(tmp_path / "enhanced.dcm", "1.2.840.10008.5.1.4.1.1.2.1")
    for keyword in ("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "ImageType"):
        setattr(dataset, keyword, slices[0].get(keyword))
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.NumberOfFrames = 1, "MONOCHROME2", 4
    dataset.Modality, dataset.FrameOfReferenceUID = "CT", generate_uid()
    shared = pydicom.Dataset()
    for name, keyword in (
        ("PixelMeasuresSequence", "PixelSpacing"),
        ("PlaneOrientationSequence", "ImageOrientationPatient"),
    ):
        setattr(shared, name, [pydicom.Dataset()])
        setattr(getattr(shared, name)[0], keyword, slices[0].get(keyword))
    dataset.SharedFunctionalGroupsSequence, dataset.PerFrameFunctionalGroupsSequence = [shared], []
    for index in order:
        group, place, scale = pydicom.Dataset(), pydicom.Dataset(), pydicom.Dataset()
        place.ImagePositionPatient = slices[index].ImagePositionPatient
        scale.RescaleSlope, scale.RescaleIntercept, scale.RescaleType = 2, -100, "HU"
        group.PlanePositionSequence, group.PixelValueTransformationSequence = [place], [scale]
        dataset.PerFrameFunctionalGroupsSequence.append(group)
    dataset.PixelData = b"".join(slices[index].PixelData for index in order)
    dataset.save_as(tmp_path / "enhanced.dcm", enforce_file_format=True)
    series = assemble_series([read_header(tmp_path / "enhanced.dcm")])
    assert [item.frame for item in series.slices] == [1, 3, 0, 2]
    np.testing.assert_array_equal(read_pixels(series), expected)
    np.testing.assert_allclose(series.affine_lps, affine, atol=1e-5)


def _set(**values):
    def change(index, dataset):
        for keyword, value in values.items():
            setattr(dataset, keyword, value)

    return change


def _encode_as_video(dataset):
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.100"
    dataset.PixelData = pydicom.encaps.encapsulate([b"video"])
    dataset["PixelData"].is_undefined_length = True


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda i, d: setattr(d, "PatientID", f"P{i % 2}"), "two patients in one series"),
        (lambda i, d: setattr(d, "PatientName", f"Doe^{i % 2}"), "two patients in one series"),
        (_set(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]), "localizer"),
        (_set(ImageType=["DERIVED", "SECONDARY", "MPR"]), "derived images"),
        (lambda i, d: setattr(d, "Columns", 6 if i else 3), "different image sizes"),
        (lambda i, d: d.__delattr__("ImagePositionPatient"), "4 of 4 slices without position"),
        (lambda i, d: d.__delattr__("PixelSpacing"), "without pixel spacing"),
        (_set(SamplesPerPixel=3), "colour images"),
        (lambda i, d: _encode_as_video(d), "unsupported transfer syntax MPEG2"),
    ],
)
def test_unusable_series_are_rejected_with_the_reason(tmp_path, change, reason):
    write_series(tmp_path, change=change)
    assert reason in _rejected(tmp_path)


def test_every_reason_is_named_at_once_and_no_person(tmp_path):
    write_series(tmp_path, change=lambda i, d: (_set(ImageType=["DERIVED"])(i, d), setattr(d, "PatientID", f"P{i}")))
    (tmp_path / "002.dcm").unlink()
    reasons = _rejected(tmp_path)
    assert all(part in reasons for part in ("two patients", "derived", "missing slices: 1"))
    assert "Doe" not in reasons


def test_copies_are_used_once_and_false_copies_refused(tmp_path):
    expected, _ = write_series(tmp_path)
    (tmp_path / "copy.dcm").write_bytes((tmp_path / "002.dcm").read_bytes())
    series = assemble_series(_headers(tmp_path))
    assert series.notes == ("duplicated instances, each used once: 1 copies",)
    np.testing.assert_array_equal(read_pixels(series), expected)
    changed = pydicom.dcmread(tmp_path / "copy.dcm")
    changed.PixelData = bytes(len(changed.PixelData))
    changed.save_as(tmp_path / "copy.dcm")
    assert "1 instances share the identifier of another one but differ" in _rejected(tmp_path)


def test_truncated_pixels_are_an_error_with_the_slice(tmp_path):
    write_series(tmp_path)
    file = tmp_path / "003.dcm"
    file.write_bytes(file.read_bytes()[:-7])
    with pytest.raises(ValueError, match="slice 2 of 4: pixels cannot be decoded, a truncated or damaged file"):
        read_pixels(assemble_series(_headers(tmp_path)))


def test_kinds_of_files(tmp_path):
    write_series(tmp_path / "s")
    assert read_header(tmp_path / "s" / "001.dcm").kind == "image"
    new_dataset(tmp_path / "sr.dcm", SR).save_as(tmp_path / "sr.dcm", enforce_file_format=True)
    report = read_header(tmp_path / "sr.dcm")
    assert (report.kind, report.object_name) == ("other", "Basic Text SR Storage")
    (tmp_path / "a.txt").write_text("no DICOM")
    with pytest.raises(NotDicomError, match="not a DICOM file"):
        read_header(tmp_path / "a.txt")
    (tmp_path / "cut.dcm").write_bytes((tmp_path / "s" / "001.dcm").read_bytes()[:200])
    with pytest.raises(ValueError, match="damaged or truncated DICOM header"):
        read_header(tmp_path / "cut.dcm")


def test_emptied_identifiers_get_stand_ins_that_keep_a_series_together(tmp_path):
    def change(index, dataset):
        dataset.SOPInstanceUID = dataset.StudyInstanceUID = dataset.SeriesInstanceUID = ""

    write_series(tmp_path, change=change)
    headers = _headers(tmp_path)
    assert len({header.sop_instance_uid for header in headers}) == 4
    assert len({(header.series_uid, header.study_uid) for header in headers}) == 1
    assert headers[0].series_uid
    assert headers[0].sop_class_uid == CT


def test_links_that_lead_out_of_the_tree_are_not_followed(tmp_path):
    outside, tree = tmp_path / "outside", tmp_path / "tree"
    for folder in (outside, tree):
        folder.mkdir()
        (folder / "a").write_text("a")
    (tree / "link").symlink_to(outside / "a")
    (tree / "folder").symlink_to(outside)
    (tree / "gone").symlink_to(tree / "nothing")
    (tree / "same").symlink_to(tree / "a")
    assert [(file.name, problem) for file, problem in walk_files(tree)] == [
        ("a", None),
        ("folder", "link that leads outside of the folder"),
        ("gone", "link that leads nowhere"),
        ("link", "link that leads outside of the folder"),
        ("same", None),
    ]


def test_series_without_slices_has_no_voxels():
    with pytest.raises(ValueError, match="series must have slices"):
        read_pixels(DicomSeries((), np.eye(4), (), ()))


@pytest.mark.parametrize("missing", ["position", "orientation", "spacing"])
def test_frame_without_its_header_has_no_place(missing):
    known = {"position": (0.0, 0.0, 0.0), "orientation": (1.0, 0.0, 0.0, 0.0, 1.0, 0.0), "spacing": (1.0, 1.0)}
    assert FrameHeader(**known).place() == tuple(known.values())
    with pytest.raises(ValueError, match="must have position, orientation and pixel spacing"):
        FrameHeader(**{**known, missing: None}).place()
