"""Writes a label map as DICOM SEG that refers to every instance of its series."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import monai_proto
from monai_proto.data.atomic_write import new_file_atomically
from monai_proto.dicom.header import complete_uids
from monai_proto.dicom.packages import dicom_package
from monai_proto.dicom.segments import SIDE_CODES, Segment
from monai_proto.dicom.series import DicomSeries

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["Algorithm", "write_segmentation"]

_SERIES_NUMBER = 300  # of the new series

# what highdicom copies from the sources and a careless de-identification leaves out; empty is allowed (type 2)
_MAY_BE_EMPTY = [
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "AccessionNumber",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
]


@dataclass(frozen=True)
class Algorithm:
    """
    What made the segmentation.

    Args:
        name: of the model.
        version: of the model.
        description: SeriesDescription, at most 64 characters.
        type: SegmentAlgorithmType, ``AUTOMATIC``, ``SEMIAUTOMATIC`` or ``MANUAL``.
    """

    name: str
    version: str
    description: str = "Segmentation"
    type: str = "AUTOMATIC"


def write_segmentation(
    file: str | os.PathLike,
    label: np.ndarray,
    series: DicomSeries,
    segments: Sequence[Segment],
    algorithm: Algorithm,
) -> Path:
    """
    Write a binary SEG; the file appears whole or not at all.

    Args:
        file: file to write.
        label: label map on the grid of the series (columns, rows, slices), integers.
        series: the source images.
        segments: the classes; segment numbers are 1, 2, ... in this order, whether a class occurs or not.
        algorithm: what made it.

    Raises:
        ValueError: when ``label`` has another shape than the series, or a value that no segment has.
    """
    if label.shape != series.shape:
        raise ValueError(f"label must have the shape of the series {series.shape}, got {label.shape}.")
    unknown = sorted(set(np.unique(label).tolist()) - {0, *(segment.value for segment in segments)})
    if unknown:
        raise ValueError(f"label has the values {unknown[:5]}, which no segment has.")
    seg, uid = dicom_package("highdicom.seg"), dicom_package("highdicom").UID
    sources = _sources(series)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # values of the sources that bend the standard
        dataset = seg.Segmentation(
            source_images=sources,
            pixel_array=_frames(label, series, [segment.value for segment in segments]),
            segmentation_type=seg.SegmentationTypeValues.BINARY,
            segment_descriptions=_descriptions(segments, algorithm),
            series_instance_uid=uid(),
            series_number=_SERIES_NUMBER,
            sop_instance_uid=uid(),
            instance_number=1,
            manufacturer="monai_proto",
            manufacturer_model_name=algorithm.name[:64],
            software_versions=monai_proto.__version__,
            device_serial_number=algorithm.version[:64],
            series_description=algorithm.description[:64],
            content_label="SEGMENTATION",
            content_description=algorithm.description[:64],
        )
        with new_file_atomically(file) as stream:
            dataset.save_as(stream)
        return Path(file)


def _sources(series: DicomSeries) -> list[Dataset]:
    pydicom = dicom_package("pydicom")
    sources = []
    for instance in series.instances:
        dataset = complete_uids(pydicom.dcmread(instance.file, stop_before_pixels=True))
        for keyword in _MAY_BE_EMPTY:
            if keyword not in dataset:
                setattr(dataset, keyword, None)
        sources.append(dataset)
    return sources


def _frames(label: np.ndarray, series: DicomSeries, values: Sequence[int]) -> np.ndarray:
    """Frames (N, rows, columns) of segment numbers, in the order of the sources' frames."""
    numbers = np.zeros(int(max(values)) + 1, np.uint8 if len(values) < 256 else np.uint16)
    numbers[list(values)] = np.arange(1, len(values) + 1)
    frames = numbers[label.T]
    if len(series.instances) > 1:
        return frames
    order = np.argsort([item.frame for item in series.slices])  # an enhanced object keeps frames in an order of its own
    return frames[order]


def _descriptions(segments: Sequence[Segment], algorithm: Algorithm) -> list:
    highdicom, seg = dicom_package("highdicom"), dicom_package("highdicom.seg")
    coded = dicom_package("highdicom.sr").CodedConcept
    identification = highdicom.AlgorithmIdentificationSequence(
        name=algorithm.name[:64],
        version=algorithm.version[:64],
        family=coded("123110", "DCM", "Artificial Intelligence"),
    )
    descriptions = []
    for number, segment in enumerate(segments, start=1):
        description = seg.SegmentDescription(
            segment_number=number,
            segment_label=segment.name,
            segmented_property_category=coded(*segment.category),
            segmented_property_type=coded(*segment.type),
            algorithm_type=seg.SegmentAlgorithmTypeValues(algorithm.type),
            algorithm_identification=None if algorithm.type == "MANUAL" else identification,
            tracking_uid=highdicom.UID(),
            tracking_id=segment.name,
        )
        if segment.side:  # highdicom has no argument for it
            description.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = [
                coded(*SIDE_CODES[segment.side])
            ]
        descriptions.append(description)
    return descriptions
