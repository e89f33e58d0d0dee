"""A DICOM series in, a DICOM SEG out: on a folder, or behind a PACS."""

from __future__ import annotations

from monai_proto.apps.dicom.node import DicomNode, Peer
from monai_proto.apps.dicom.series_segmentation import SEG_NAME, SegmentedSeries, segment_series
from monai_proto.dicom.seg_writer import Algorithm, write_segmentation
from monai_proto.dicom.segments import Segment, segments_from_metadata
from monai_proto.dicom.series_folder import open_series

__all__ = [
    "SEG_NAME",
    "Algorithm",
    "DicomNode",
    "Peer",
    "Segment",
    "SegmentedSeries",
    "open_series",
    "segment_series",
    "segments_from_metadata",
    "write_segmentation",
]
