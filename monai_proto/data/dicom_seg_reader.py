"""Reads a DICOM SEG as a label map on the grid of its series."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from monai_proto.data.dicom_grid import lay_on_grid
from monai_proto.data.dicom_packages import dicom_package
from monai_proto.data.dicom_series import DicomSeries

__all__ = ["read_segment_names", "read_segmentation", "referenced_series"]


def read_segment_names(file: str | os.PathLike) -> dict[int, str]:
    """Label of each segment by its number; the header alone is read."""
    dataset = dicom_package("pydicom").dcmread(
        os.fspath(file), stop_before_pixels=True, specific_tags=["SegmentSequence"]
    )
    segments = dataset.get("SegmentSequence") or []
    return {int(item.SegmentNumber): str(item.get("SegmentLabel") or item.SegmentNumber) for item in segments}


def referenced_series(file: str | os.PathLike) -> tuple[str, ...]:
    """SeriesInstanceUIDs that a SEG names as its sources."""
    dataset = dicom_package("pydicom").dcmread(
        os.fspath(file), stop_before_pixels=True, specific_tags=["ReferencedSeriesSequence"]
    )
    return tuple(str(item.SeriesInstanceUID) for item in dataset.get("ReferencedSeriesSequence") or [])


def read_segmentation(
    file: str | os.PathLike, series: DicomSeries, values: Mapping[str, int]
) -> tuple[np.ndarray, list[str]]:
    """
    Args:
        file: DICOM SEG.
        series: the images that it belongs to.
        values: label value of each segment by name; other segments are left out, with a note.

    Returns:
        label map (columns, rows, slices), uint8 or uint16, and notes; where segments overlap, the smaller one stays.

    Raises:
        ValueError: when it cannot be read, holds no segment of ``values``, or does not lie on the grid of the series.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            segmentation = dicom_package("highdicom.seg").segread(os.fspath(file))
        except Exception as error:  # highdicom reports a malformed object with many types of exception
            raise ValueError(f"is no valid SEG ({error})") from error
        masks: dict[str, np.ndarray] = {}
        names = {item.segment_number: str(item.segment_label) for item in _descriptions(segmentation)}
        wanted = {number: name for number, name in names.items() if name in values}
        if not wanted:
            raise ValueError(f"has none of the named segments; it has {', '.join(names.values()) or 'none at all'}")
        for number, name in wanted.items():
            mask = _segment(segmentation, number, series)
            masks[name] = mask if name not in masks else masks[name] | mask
    notes = [f"segment {name} is not asked for" for name in dict.fromkeys(names.values()) if name not in values]
    label, overlap = paint_masks(masks, values, series.shape)
    return label, notes + overlap


def paint_masks(
    masks: Mapping[str, np.ndarray], values: Mapping[str, int], shape: tuple[int, int, int]
) -> tuple[np.ndarray, list[str]]:
    """
    One label map of several masks, large ones first, so that a small structure inside of a large one stays visible.

    Args:
        masks: boolean mask (X, Y, Z) of each structure.
        values: label value of each structure.
        shape: of the label map.

    Returns:
        label map and, where masks overlap, a note.
    """
    label = np.zeros(shape, np.uint8 if max(values.values()) < 256 else np.uint16)
    overlap = 0
    for name in sorted(masks, key=lambda name: (-int(masks[name].sum()), name)):
        overlap += int(np.count_nonzero(label[masks[name]]))
        label[masks[name]] = values[name]
    return label, [f"structures overlap in {overlap} voxels: the smaller one stays"] if overlap else []


def _descriptions(segmentation: Any) -> list[Any]:
    return [segmentation.get_segment_description(number) for number in segmentation.segment_numbers]


def _segment(segmentation: Any, number: int, series: DicomSeries) -> np.ndarray:
    """Mask of one segment; slices that a sparse SEG leaves out are empty."""
    instances = series.instances
    if len(instances) == len(series.slices):
        try:
            pixels = segmentation.get_pixels_by_source_instance(
                [item.sop_instance_uid for item in instances],
                segment_numbers=[number],
                combine_segments=False,
                ignore_spatial_locations=False,
                assert_missing_frames_are_empty=True,
            )
            return _by_reference(pixels[..., 0], segmentation, series)
        except (KeyError, RuntimeError, ValueError, AttributeError):
            pass  # no reference to single instances: placed by its geometry below
    try:
        volume = segmentation.get_volume(segment_numbers=[number], combine_segments=True, relabel=True)
    except Exception as error:
        raise ValueError(f"segment {number} makes up no volume ({error})") from error
    return _by_geometry(volume, series)


def _by_reference(pixels: np.ndarray, segmentation: Any, series: DicomSeries) -> np.ndarray:
    columns, rows, slices = series.shape
    if pixels.shape != (slices, rows, columns):
        raise ValueError(f"frames of {pixels.shape}")
    return np.transpose(pixels, (2, 1, 0)).astype(bool)


def _by_geometry(volume: Any, series: DicomSeries) -> np.ndarray:
    geometry = dicom_package("highdicom").VolumeGeometry(
        affine=series.affine_lps, spatial_shape=series.shape, coordinate_system="PATIENT"
    )
    try:
        laid = volume.match_geometry(geometry, tol=1e-3)
    except Exception as error:
        raise ValueError(f"does not lie on the grid of its series ({error})") from error
    return lay_on_grid(laid.array, laid.affine, series.shape, series.affine_lps).astype(bool)


