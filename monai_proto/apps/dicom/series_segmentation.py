"""A DICOM series in, a DICOM SEG out: reads the series, runs a bundle, writes the result."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from monai_proto.apps.bundle_segmentation import read_bundle_metadata, segment_with_bundle
from monai_proto.apps.dicom.overview import draw_overview
from monai_proto.data.atomic_write import new_folder_atomically, require_new_folder
from monai_proto.data.nifti import write_nifti
from monai_proto.dicom.pixels import read_pixels
from monai_proto.dicom.seg_writer import Algorithm, write_segmentation
from monai_proto.dicom.segments import Segment, segments_from_metadata
from monai_proto.dicom.series import DicomSeries
from monai_proto.dicom.series_folder import open_series

__all__ = ["SEG_NAME", "SegmentedSeries", "segment_series"]

SEG_NAME = "segmentation.dcm"
_SOFT_TISSUE = (-160.0, 240.0)  # HU


@dataclass(frozen=True)
class SegmentedSeries:
    """
    What :func:`segment_series` did.

    Args:
        output: folder with ``segmentation.dcm`` and what else was asked for.
        series: the source.
        voxels: number of voxels of each segment by its name.
        notes: what its user should know.
    """

    output: Path
    series: DicomSeries
    voxels: dict[str, int]
    notes: tuple[str, ...]


def segment_series(
    bundle: str | os.PathLike,
    source: str | os.PathLike,
    output: str | os.PathLike,
    series_uid: str | None = None,
    nifti: bool = False,
    overview: bool = False,
    checkpoint: str | os.PathLike | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> SegmentedSeries:
    """
    Segment the series of a folder.

    Args:
        bundle: folder of a segmentation bundle.
        source: folder with the series.
        output: new folder, which appears when it is complete.
        series_uid: which series, where the folder holds several.
        nifti: write ``image.nii.gz`` and ``segmentation.nii.gz`` as well; their label values are those of the bundle.
        overview: write ``overview.png`` as well.
        checkpoint: weights in place of the bundle's own.
        overrides: values of the bundle's ``inference.json`` to replace.

    Raises:
        ValueError: when the bundle, the series or the output folder cannot be used; nothing is written then.
    """
    require_new_folder(output)
    metadata = read_bundle_metadata(bundle, checkpoint)
    segments = segments_from_metadata(metadata)
    series = open_series(source, series_uid)
    modality = _expected_modality(metadata)
    if modality and series.first.modality and series.first.modality != modality:
        raise ValueError(f"Series is of modality {series.first.modality}, bundle {bundle} takes {modality}.")
    try:
        voxels = read_pixels(series)
    except ValueError as error:
        raise ValueError(f"Series {series.first.series_uid} in {source}: {error}.") from error
    label = segment_with_bundle(bundle, voxels, series.affine, checkpoint, overrides)
    algorithm = Algorithm(str(metadata.get("name") or Path(bundle).name), str(metadata.get("version") or "unknown"))
    with new_folder_atomically(output) as target:
        write_segmentation(target / SEG_NAME, label, series, segments, algorithm)
        if nifti:
            write_nifti(target / "image.nii.gz", voxels, series.affine)
            write_nifti(target / "segmentation.nii.gz", label, series.affine)
        if overview:
            window = _SOFT_TISSUE if series.first.modality == "CT" else None
            draw_overview(target / "overview.png", voxels, label, series.affine, segments, window=window)
    counts = np.bincount(label.ravel(), minlength=max(segment.value for segment in segments) + 1)
    found = {segment.name: int(counts[segment.value]) for segment in segments}
    return SegmentedSeries(Path(output), series, found, (*series.notes, *_remarks(segments, found)))


def _expected_modality(metadata: Mapping[str, Any]) -> str | None:
    image = metadata["network_data_format"].get("inputs", {}).get("image", {})
    return {"MR": "MR", "MRI": "MR", "CT": "CT"}.get(str(image.get("modality", "")).upper())


def _remarks(segments: list[Segment], found: Mapping[str, int]) -> list[str]:
    uncoded = [segment.name for segment in segments if not segment.has_own_code]
    remarks = [f"no code known, coded as Tissue: {', '.join(uncoded)}"] if uncoded else []
    if not any(found.values()):
        remarks.append("the model found nothing: the segmentation is empty")
    return remarks
