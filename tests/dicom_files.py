"""Writes small DICOM files for tests, sound ones and broken ones."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pydicom = pytest.importorskip("pydicom", reason="the extra dicom is not installed: no pydicom")
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset  # noqa: E402
from pydicom.uid import ExplicitVRLittleEndian, generate_uid  # noqa: E402

CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
RTSTRUCT, SR = "1.2.840.10008.5.1.4.1.1.481.3", "1.2.840.10008.5.1.4.1.1.88.11"
OBLIQUE = (0.8, 0.6, 0.0, -0.36, 0.48, 0.8)


def new_dataset(file: Path, sop_class: str, patient: str = "P1") -> FileDataset:
    """An object with a patient, a study and a series of its own, not yet on disk."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = sop_class, generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset(str(file), {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, meta.MediaStorageSOPInstanceUID
    dataset.PatientID, dataset.PatientName, dataset.PatientBirthDate = patient, f"Doe^{patient}", "19700101"
    dataset.PatientSex, dataset.StudyInstanceUID = "O", generate_uid(entropy_srcs=["study", patient])
    dataset.StudyDate, dataset.StudyTime, dataset.StudyID, dataset.AccessionNumber = "20200101", "120000", "1", ""
    dataset.ReferringPhysicianName, dataset.SeriesNumber, dataset.Manufacturer = "", 1, "test"
    dataset.SeriesInstanceUID = generate_uid()
    return dataset


def voxels(shape: tuple[int, int, int], seed: int = 0) -> np.ndarray:
    """Random voxels (columns, rows, slices), int16."""
    return np.random.default_rng(seed).integers(-500, 500, shape).astype(np.int16)


def write_series(
    folder: Path,
    shape: tuple[int, int, int] = (6, 5, 4),
    orientation: tuple[float, ...] = (1, 0, 0, 0, 1, 0),
    spacing: tuple[float, float, float] = (1.5, 2.0, 3.0),
    patient: str = "P1",
    sop_class: str = CT,
    seed: int = 0,
    change: Callable[[int, Dataset], None] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """
    Write one file a slice; names run against the order of the slices.

    Args:
        folder: folder for the files.
        shape: columns, rows, slices.
        orientation: ImageOrientationPatient.
        spacing: mm between columns, rows, slices.
        patient: PatientID.
        sop_class: kind of object.
        seed: of the voxels.
        change: called with index and data set of each slice before it is written.

    Returns:
        voxels (columns, rows, slices), and their affine to mm in LPS+.
    """
    folder.mkdir(parents=True, exist_ok=True)
    data = voxels(shape, seed)
    rows, columns = np.array(orientation[:3], float), np.array(orientation[3:], float)
    normal, origin = np.cross(rows, columns), np.array([10.0, -20.0, 30.0])
    series, frame = generate_uid(), generate_uid()
    for index in range(shape[2]):
        file = folder / f"{shape[2] - index:03d}.dcm"
        dataset = new_dataset(file, sop_class, patient)
        dataset.SeriesInstanceUID, dataset.FrameOfReferenceUID = series, frame
        dataset.Modality, dataset.ImageType = "CT" if sop_class == CT else "MR", ["ORIGINAL", "PRIMARY", "AXIAL"]
        dataset.ImagePositionPatient = [float(f"{v:.6f}") for v in origin + index * spacing[2] * normal]
        dataset.ImageOrientationPatient, dataset.PixelSpacing = list(orientation), [spacing[1], spacing[0]]
        dataset.InstanceNumber, dataset.SliceThickness = index + 1, spacing[2]
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
        dataset.PositionReferenceIndicator = ""
        dataset.Rows, dataset.Columns = shape[1], shape[0]
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 1
        dataset.RescaleSlope, dataset.RescaleIntercept = 2, -100
        dataset.PixelData = np.ascontiguousarray(data[..., index].T).tobytes()
        if change:
            change(index, dataset)
        dataset.save_as(file, enforce_file_format=True)
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1], affine[:3, 2] = rows * spacing[0], columns * spacing[1], normal * spacing[2]
    affine[:3, 3] = origin
    return data.astype(np.int32) * 2 - 100, affine


def write_structure_set(file: Path, source: Path, contours: dict[str, list[tuple[int, np.ndarray]]]) -> Dataset:
    """
    Write an RTSTRUCT for a series.

    Args:
        file: file to write.
        source: folder of the series.
        contours: for each structure, index of the slice and points (N, 2) as continuous (column, row) indices.
    """
    slices = [pydicom.dcmread(path) for path in sorted(source.glob("*.dcm"), reverse=True)]
    dataset = new_dataset(file, RTSTRUCT, slices[0].PatientID)
    dataset.Modality, dataset.StructureSetLabel = "RTSTRUCT", "test"
    image = []
    for item in slices:
        reference = Dataset()
        reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = item.SOPClassUID, item.SOPInstanceUID
        image.append(reference)
    series, study, frame = Dataset(), Dataset(), Dataset()
    series.SeriesInstanceUID, series.ContourImageSequence = slices[0].SeriesInstanceUID, image
    study.RTReferencedSeriesSequence, study.ReferencedSOPInstanceUID = [series], slices[0].StudyInstanceUID
    frame.FrameOfReferenceUID, frame.RTReferencedStudySequence = slices[0].FrameOfReferenceUID, [study]
    dataset.ReferencedFrameOfReferenceSequence = [frame]
    dataset.StructureSetROISequence, dataset.ROIContourSequence = [], []
    for number, (name, areas) in enumerate(contours.items(), start=1):
        roi, drawn = Dataset(), Dataset()
        roi.ROINumber, roi.ROIName, roi.ReferencedFrameOfReferenceUID = number, name, frame.FrameOfReferenceUID
        drawn.ReferencedROINumber, drawn.ContourSequence = number, []
        for index, points in areas:
            item, contour = slices[index], Dataset()
            along = np.array(item.ImageOrientationPatient, float).reshape(2, 3)
            scale = np.array([item.PixelSpacing[1], item.PixelSpacing[0]], float)
            places = np.array(item.ImagePositionPatient, float) + (np.asarray(points) * scale) @ along
            contour.ContourGeometricType, contour.NumberOfContourPoints = "CLOSED_PLANAR", len(points)
            contour.ContourData = [f"{value:.6f}"[:16] for value in places.ravel()]
            contour.ContourImageSequence = [copy.deepcopy(image[index])]
            drawn.ContourSequence.append(contour)
        dataset.StructureSetROISequence.append(roi)
        dataset.ROIContourSequence.append(drawn)
    dataset.save_as(file, enforce_file_format=True)
    return dataset
