"""Reads a DICOM SEG as a label map on the grid of the series that it refers to."""

from __future__ import annotations

import os
import warnings

import numpy as np

from monai_proto.data.dicom_packages import dicom_package
from monai_proto.data.dicom_series import DicomSeries

__all__ = ["read_segmentation"]


def read_segmentation(file: str | os.PathLike, series: DicomSeries) -> tuple[np.ndarray, dict[int, str]]:
    """
    Args:
        file: SEG whose frames name the images of the series that they lie on.
        series: the source images.

    Returns:
        segment numbers on the grid of the series (columns, rows, slices), 0 where there is no segment, and the names of
        the segments by number.

    Raises:
        ValueError: when the file is no such SEG, or its segments overlap.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # values of other writers that bend the standard
        try:
            segmentation = dicom_package("highdicom.seg").segread(file)
            label = _frames(segmentation, series)
        except (ValueError, RuntimeError, AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"SEG cannot be laid on series {series.first.series_uid}: {error}") from error
        names = {int(item.SegmentNumber): str(item.SegmentLabel) for item in segmentation.SegmentSequence}
    return label.T.astype(np.uint16 if max(names) > 255 else np.uint8), names


def _frames(segmentation, series: DicomSeries) -> np.ndarray:
    """Segment numbers (slices, rows, columns)."""
    options = {"combine_segments": True, "ignore_spatial_locations": True, "assert_missing_frames_are_empty": True}
    uids = [instance.sop_instance_uid for instance in series.instances]
    if len(uids) == 1:
        numbers = [item.frame + 1 for item in series.slices]
        return segmentation.get_pixels_by_source_frame(uids[0], numbers, **options)
    return segmentation.get_pixels_by_source_instance(uids, **options)
