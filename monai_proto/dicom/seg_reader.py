"""Reads a DICOM SEG as a label map on the grid of its series."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from monai_proto.data.label_map import paint_masks
from monai_proto.dicom.header import FrameHeader, read_header
from monai_proto.dicom.packages import dicom_package
from monai_proto.dicom.series import DicomSeries

__all__ = ["read_segmentation", "read_segments"]

_TOLERANCE = 1e-3  # mm that a pixel may lie off a voxel of the series


def read_segments(file: str | os.PathLike) -> tuple[tuple[str, ...], dict[int, str]]:
    """
    SeriesInstanceUIDs that a SEG names as its sources, and the label of each segment by its number, without the
    background of a label map; the header alone is read.
    """
    tags = ["ReferencedSeriesSequence", "SegmentSequence"]
    dataset = dicom_package("pydicom").dcmread(os.fspath(file), stop_before_pixels=True, specific_tags=tags)
    series = tuple(str(item.SeriesInstanceUID) for item in dataset.get("ReferencedSeriesSequence") or [])
    segments = dataset.get("SegmentSequence") or []
    names = {int(item.SegmentNumber): str(item.get("SegmentLabel") or item.SegmentNumber) for item in segments}
    return series, {number: name for number, name in names.items() if number}


def read_segmentation(
    file: str | os.PathLike, series: DicomSeries, values: Mapping[str, int]
) -> tuple[np.ndarray, list[str]]:
    """
    Frames are placed by their own position and orientation, not by the images that they refer to.

    Args:
        file: DICOM SEG, binary, label map, or fractional (half and more is inside).
        series: the images that it belongs to.
        values: label value of each segment by name; other segments are left out, with a note.

    Returns:
        label map (columns, rows, slices), uint8 or uint16, and notes; where segments overlap, the smaller one stays.

    Raises:
        ValueError: when it cannot be read, holds no segment of ``values``, or does not lie on the grid of the series.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        placed = read_header(file).frames
        if not all(frame.position and frame.orientation and frame.spacing for frame in placed):
            raise ValueError("has frames without position, orientation or pixel spacing")
        try:
            segmentation = dicom_package("highdicom.seg").segread(os.fspath(file))
            names = {number: _name(segmentation, number) for number in segmentation.segment_numbers if number}
        except Exception as error:  # highdicom reports a malformed object with many types of exception
            raise ValueError(f"is no valid SEG ({error})") from error
        wanted = {number: name for number, name in names.items() if name in values}
        if not wanted:
            raise ValueError(f"has none of the named segments; it has {', '.join(names.values()) or 'none at all'}")
        masks = _place(segmentation, placed, wanted, series)
    notes = [f"segment {name} is not asked for" for name in dict.fromkeys(names.values()) if name not in values]
    if segmentation.segmentation_type.value == "FRACTIONAL":
        notes.append("is fractional: half and more is inside")
    label, overlap = paint_masks(masks, values, series.shape)
    return label, notes + overlap


def _name(segmentation: Any, number: int) -> str:
    return str(segmentation.get_segment_description(number).segment_label)


def _place(
    segmentation: Any, placed: tuple[FrameHeader, ...], wanted: Mapping[int, str], series: DicomSeries
) -> dict[str, np.ndarray]:
    """Masks by name; a sparse SEG need not have a frame for every slice."""
    masks = {name: np.zeros(series.shape, bool) for name in wanted.values()}
    _require_step(segmentation, series)
    to_series = np.linalg.inv(series.affine_lps)
    for index, frame in enumerate(placed):
        to_index = to_series @ _frame_affine(frame)
        _require_on_grid(to_index, segmentation, series)
        try:
            pixels = segmentation.get_stored_frame(index + 1)
        except Exception as error:  # each decoder has its own exceptions for damaged bytes
            raise ValueError(f"frame {index + 1} cannot be decoded ({error})") from error
        for number, inside in _segments_of_frame(segmentation, index, pixels).items():
            if number in wanted:
                _mark(masks[wanted[number]], inside, to_index)
    return masks


def _frame_affine(frame: FrameHeader) -> np.ndarray:
    """(column, row, 0, 1) of a frame to mm, LPS+."""
    along_row, along_column = np.array(frame.orientation[:3]), np.array(frame.orientation[3:])
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = along_row * frame.spacing[1], along_column * frame.spacing[0]
    affine[:3, 2], affine[:3, 3] = np.cross(along_row, along_column), frame.position
    return affine


def _require_on_grid(to_index: np.ndarray, segmentation: Any, series: DicomSeries) -> None:
    """Neighbours in the frame are neighbours in the series, and the corners lie on voxels."""
    steps = np.rint(to_index[:3, :2])
    neighbours = (np.abs(steps).sum(axis=0) == 1).all() and np.abs(steps).sum(axis=1).max() == 1
    width, height = segmentation.Columns - 1, segmentation.Rows - 1
    corners = np.array([[0, 0, 0, 1], [width, 0, 0, 1], [0, height, 0, 1], [width, height, 0, 1]], float)
    exact = corners @ to_index[:3].T
    rounded = corners @ np.column_stack([steps, np.zeros(3), np.rint(to_index[:3, 3])]).T
    distance = np.linalg.norm((exact - rounded) @ series.affine_lps[:3, :3].T, axis=1).max()
    if not neighbours or distance > _TOLERANCE:
        raise ValueError("does not lie on the grid of its series (other pixel spacing, orientation or position)")


def _require_step(segmentation: Any, series: DicomSeries) -> None:
    """Frames that lie further apart than slices could be a sparse SEG's; their spacing tells."""
    shared = (segmentation.get("SharedFunctionalGroupsSequence") or [{}])[0]
    orientation, measures = (shared.get(f"{name}Sequence") for name in ("PlaneOrientation", "PixelMeasures"))
    step = measures[0].get("SpacingBetweenSlices") if measures and orientation else None
    if step is None:
        return
    directions = np.array(orientation[0].ImageOrientationPatient, float).reshape(2, 3)
    there = np.linalg.inv(series.affine_lps[:3, :3]) @ (np.cross(*directions) * float(step))
    if abs(np.abs(there).max() - 1) * float(step) > 0.01 * float(step):
        raise ValueError(f"does not lie on the grid of its series (slices {float(step):g} mm apart)")


def _segments_of_frame(segmentation: Any, index: int, pixels: np.ndarray) -> dict[int, np.ndarray]:
    kind = segmentation.segmentation_type.value
    if kind == "LABELMAP":
        return {int(number): pixels == number for number in np.unique(pixels) if number}
    half = segmentation.MaximumFractionalValue / 2 if kind == "FRACTIONAL" else 1
    groups = (segmentation.PerFrameFunctionalGroupsSequence[index], segmentation.SharedFunctionalGroupsSequence[0])
    named = next(group.SegmentIdentificationSequence for group in groups if "SegmentIdentificationSequence" in group)
    return {int(named[0].ReferencedSegmentNumber): pixels >= half}


def _mark(mask: np.ndarray, inside: np.ndarray, to_index: np.ndarray) -> None:
    rows, columns = np.nonzero(inside)
    pixels = np.stack([columns, rows, np.zeros_like(rows), np.ones_like(rows)])
    indices = np.rint(to_index[:3] @ pixels).astype(int)
    if (indices < 0).any() or (indices >= np.array(mask.shape)[:, None]).any():
        raise ValueError("does not lie on the grid of its series (it reaches beyond the images)")
    mask[tuple(indices)] = True
