"""Data sets, data lists, samplers and phantoms."""

from monai_proto.data.box_datalist import read_box_datalist, write_box_datalist
from monai_proto.data.boxed_images import load_boxed_images
from monai_proto.data.boxed_slices import load_boxed_slices
from monai_proto.data.case_report import CaseReport
from monai_proto.data.class_sampling import sampling_weights
from monai_proto.data.classification_datalist import (
    class_counts,
    class_names,
    load_classification_datalist,
    write_classification_datalist,
)
from monai_proto.data.color_image import read_color_image
from monai_proto.data.datalist import load_semi_supervised_datalist, read_datalist, write_datalist
from monai_proto.data.image_list import list_images
from monai_proto.data.mask_picture_writer import MaskPictureWriter
from monai_proto.data.pad_copies_collate import PadCopiesCollate
from monai_proto.data.phantoms.dermoscopy_dataset import write_dermoscopy_phantom_dataset
from monai_proto.data.phantoms.phantom_cache import phantom_dataset_dir
from monai_proto.data.phantoms.phantom_dataset import write_ct_phantom_dataset, write_mri_phantom_dataset
from monai_proto.data.photograph_list import list_photographs
from monai_proto.data.prefix_cache import PrefixCache
from monai_proto.data.prompted_images import list_prompted_images
from monai_proto.data.prompted_volumes import list_prompted_volumes
from monai_proto.data.source_images import SourceImages
from monai_proto.data.study_score import StudyScore
from monai_proto.data.study_score_cache import StudyFailure, StudyScoreCache, file_stamp
from monai_proto.data.study_selection import SelectionWeights, StudyChoice, StudyReasons, select_study
from monai_proto.data.two_stream_dataloader import TwoStreamDataLoader
from monai_proto.data.two_stream_sampler import TwoStreamBatchSampler
from monai_proto.data.volume_slices import volume_slice

__all__ = [
    "CaseReport",
    "MaskPictureWriter",
    "PadCopiesCollate",
    "PrefixCache",
    "SelectionWeights",
    "SourceImages",
    "StudyChoice",
    "StudyFailure",
    "StudyReasons",
    "StudyScore",
    "StudyScoreCache",
    "TwoStreamBatchSampler",
    "TwoStreamDataLoader",
    "class_counts",
    "class_names",
    "file_stamp",
    "list_images",
    "list_photographs",
    "list_prompted_images",
    "list_prompted_volumes",
    "load_boxed_images",
    "load_boxed_slices",
    "load_classification_datalist",
    "load_semi_supervised_datalist",
    "phantom_dataset_dir",
    "read_box_datalist",
    "read_color_image",
    "read_datalist",
    "sampling_weights",
    "select_study",
    "volume_slice",
    "write_box_datalist",
    "write_classification_datalist",
    "write_ct_phantom_dataset",
    "write_datalist",
    "write_dermoscopy_phantom_dataset",
    "write_mri_phantom_dataset",
]
