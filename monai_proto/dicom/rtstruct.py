"""Reads the contours of an RTSTRUCT as a label map on the grid of its series."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from monai_proto.data.label_map import paint_masks
from monai_proto.dicom.packages import dicom_package
from monai_proto.dicom.series import DicomSeries

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["read_structure_set", "read_structures"]

_PLANE_TOLERANCE = 0.1  # of the slice spacing, that a contour may lie off the slice it is drawn on


def read_structures(file: str | os.PathLike) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """SeriesInstanceUIDs that an RTSTRUCT says its contours were drawn on, and the names of its structures."""
    dataset = _read(file)
    series = tuple(str(item.get("SeriesInstanceUID")) for item in _series_items(dataset))
    return series, tuple(_roi_names(dataset).values())


def read_structure_set(
    file: str | os.PathLike, series: DicomSeries, values: Mapping[str, int]
) -> tuple[np.ndarray, list[str]]:
    """
    A voxel belongs to a structure when its centre lies inside of an odd number of the structure's contours on the
    slice, so that a contour inside of another one is a hole.

    Args:
        file: RTSTRUCT.
        series: the images that it belongs to.
        values: label value of each structure by name; other structures are left out, with a note.

    Returns:
        label map (columns, rows, slices), uint8 or uint16, and notes; where structures overlap, the smaller one stays.

    Raises:
        ValueError: when it refers to images that the series does not hold, a contour lies on none of its slices, or no
            structure of ``values`` has a contour.
    """
    try:
        dataset = _read(file)
        names = _roi_names(dataset)
        _require_references(dataset, series)
        contours = list(_contours(dataset))
    except ValueError:
        raise
    except Exception as error:  # pydicom raises whatever a malformed object leads to
        raise ValueError(f"is no valid RTSTRUCT ({type(error).__name__}: {error})") from error
    notes = []
    frames = {str(item.get("FrameOfReferenceUID")) for item in dataset.get("ReferencedFrameOfReferenceSequence") or []}
    if series.first.frame_of_reference_uid not in frames:
        notes.append("names another frame of reference than its images: taken as theirs, since it refers to them")
    to_index = np.linalg.inv(series.affine_lps)
    masks: dict[str, np.ndarray] = {}
    skipped: dict[str, int] = {}
    for number, kind, points in contours:
        name = names.get(number)
        if name is None:
            raise ValueError(f"has contours of ROI number {number}, which it does not declare")
        if name not in values:
            continue
        if kind != "CLOSED_PLANAR":
            skipped[kind] = skipped.get(kind, 0) + 1
            continue
        indices = points @ to_index[:3, :3].T + to_index[:3, 3]
        mask = masks.setdefault(name, np.zeros(series.shape, bool))
        _toggle(mask, indices, name)
    notes += [f"left out, no areas: {count} contours of type {kind}" for kind, count in skipped.items()]
    others = sorted(set(names.values()) - set(values))
    notes += [f"structures not asked for: {', '.join(others)}"] if others else []
    empty = sorted((set(names.values()) & set(values)) - set(masks))
    notes += [f"structures without contours: {', '.join(empty)}"] if empty else []
    if not masks:
        raise ValueError("has no closed contour of the named structures")
    label, overlap = paint_masks(masks, values, series.shape)
    return label, notes + overlap


def _read(file: str | os.PathLike) -> Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return dicom_package("pydicom").dcmread(os.fspath(file))


def _roi_names(dataset: Dataset) -> dict[int, str]:
    items = dataset.get("StructureSetROISequence") or []
    return {int(item.ROINumber): str(item.get("ROIName") or f"ROI {item.ROINumber}").strip() for item in items}


def _series_items(dataset: Dataset) -> Iterator[Any]:
    for frame in dataset.get("ReferencedFrameOfReferenceSequence") or []:
        for study in frame.get("RTReferencedStudySequence") or []:
            yield from study.get("RTReferencedSeriesSequence") or []


def _require_references(dataset: Dataset, series: DicomSeries) -> None:
    here = {instance.sop_instance_uid for instance in series.instances}
    items = [item for item in _series_items(dataset) if item.get("SeriesInstanceUID") == series.first.series_uid]
    if not items:
        raise ValueError("refers to no series of images")
    named = {str(image.ReferencedSOPInstanceUID) for item in items for image in item.get("ContourImageSequence") or []}
    for roi in dataset.get("ROIContourSequence") or []:
        for contour in roi.get("ContourSequence") or []:
            named |= {str(image.ReferencedSOPInstanceUID) for image in contour.get("ContourImageSequence") or []}
    if named - here:
        raise ValueError(f"refers to {len(named - here)} of {len(named)} images that are not in the series")


def _contours(dataset: Dataset) -> Iterator[tuple[int, str, np.ndarray]]:
    for roi in dataset.get("ROIContourSequence") or []:
        for contour in roi.get("ContourSequence") or []:
            points = np.array([float(value) for value in contour.get("ContourData") or []]).reshape(-1, 3)
            yield int(roi.ReferencedROINumber), str(contour.get("ContourGeometricType")), points


def _toggle(mask: np.ndarray, indices: np.ndarray, name: str) -> None:
    """Flip the voxels inside of one contour; ``indices`` (N, 3) are continuous (column, row, slice) indices."""
    from matplotlib.path import Path as Polygon

    plane = int(np.rint(indices[:, 2].mean()))
    if np.abs(indices[:, 2] - plane).max() > _PLANE_TOLERANCE or not 0 <= plane < mask.shape[2]:
        raise ValueError(f"has a contour of {name} that lies on no slice of the series")
    # only the box around the contour, cut to the image
    low = np.clip(np.floor(indices[:, :2].min(axis=0)).astype(int), 0, None)
    high = np.minimum(np.ceil(indices[:, :2].max(axis=0)).astype(int) + 1, mask.shape[:2])
    if (high <= low).any():
        raise ValueError(f"has a contour of {name} that lies outside of the images")
    grid = np.stack(np.meshgrid(*(np.arange(*ends) for ends in zip(low, high, strict=True)), indexing="ij"), axis=-1)
    inside = Polygon(indices[:, :2]).contains_points(grid.reshape(-1, 2)).reshape(grid.shape[:2])
    mask[low[0] : high[0], low[1] : high[1], plane] ^= inside
