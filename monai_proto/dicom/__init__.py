"""DICOM as a library: what a folder holds, series as volumes, labels from SEG and RTSTRUCT, SEG written."""

from monai_proto.dicom.seg_writer import Algorithm, write_segmentation
from monai_proto.dicom.segments import Segment, segments_from_metadata
from monai_proto.dicom.series_folder import open_series

__all__ = ["Algorithm", "Segment", "open_series", "segments_from_metadata", "write_segmentation"]
