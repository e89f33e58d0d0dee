"""Data sets, data lists, samplers and phantoms."""

from monai_proto.data.box_datalist import read_box_datalist, write_box_datalist
from monai_proto.data.case_report import CaseReport
from monai_proto.data.classification_datalist import (
    class_counts,
    class_names,
    load_classification_datalist,
    write_classification_datalist,
)
from monai_proto.data.datalist import load_semi_supervised_datalist, read_datalist, write_datalist
from monai_proto.data.image_list import list_images
from monai_proto.data.phantoms.dermoscopy_dataset import write_dermoscopy_phantom_dataset
from monai_proto.data.phantoms.phantom_cache import phantom_dataset_dir
from monai_proto.data.phantoms.phantom_dataset import write_ct_phantom_dataset, write_mri_phantom_dataset
from monai_proto.data.prefix_cache import PrefixCache
from monai_proto.data.two_stream_dataloader import TwoStreamDataLoader
from monai_proto.data.two_stream_sampler import TwoStreamBatchSampler
from monai_proto.data.volume_slices import volume_slice

__all__ = [
    "CaseReport",
    "PrefixCache",
    "TwoStreamBatchSampler",
    "TwoStreamDataLoader",
    "class_counts",
    "class_names",
    "list_images",
    "load_classification_datalist",
    "load_semi_supervised_datalist",
    "phantom_dataset_dir",
    "read_box_datalist",
    "read_datalist",
    "volume_slice",
    "write_box_datalist",
    "write_classification_datalist",
    "write_ct_phantom_dataset",
    "write_datalist",
    "write_dermoscopy_phantom_dataset",
    "write_mri_phantom_dataset",
]
