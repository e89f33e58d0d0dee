"""What training and inference read: data lists, samplers, loaders, caches, volumes, slices, pictures, boxes."""

from monai_proto.data.boxes.datalist import read_box_datalist, write_box_datalist
from monai_proto.data.boxes.images import load_boxed_images
from monai_proto.data.boxes.prompted_images import list_prompted_images
from monai_proto.data.boxes.prompted_volumes import list_prompted_volumes
from monai_proto.data.boxes.slices import load_boxed_slices
from monai_proto.data.classification_datalist import (
    class_counts,
    class_names,
    list_photographs,
    load_classification_datalist,
    sampling_weights,
    write_classification_datalist,
)
from monai_proto.data.color_image import read_color_image
from monai_proto.data.datalist import (
    common_image_folder,
    list_images,
    load_semi_supervised_datalist,
    read_datalist,
    write_datalist,
)
from monai_proto.data.pad_copies_collate import PadCopiesCollate
from monai_proto.data.picture_files import MaskPictureWriter
from monai_proto.data.prefix_cache import PrefixCache
from monai_proto.data.source_images import SourceImages
from monai_proto.data.two_stream_dataloader import TwoStreamBatchSampler, TwoStreamDataLoader
from monai_proto.data.volume_slices import volume_slice
from monai_proto.moved_names import moved_names

__all__ = [
    "MaskPictureWriter",
    "PadCopiesCollate",
    "PrefixCache",
    "SourceImages",
    "TwoStreamBatchSampler",
    "TwoStreamDataLoader",
    "class_counts",
    "class_names",
    "common_image_folder",
    "list_images",
    "list_photographs",
    "list_prompted_images",
    "list_prompted_volumes",
    "load_boxed_images",
    "load_boxed_slices",
    "load_classification_datalist",
    "load_semi_supervised_datalist",
    "read_box_datalist",
    "read_color_image",
    "read_datalist",
    "sampling_weights",
    "volume_slice",
    "write_box_datalist",
    "write_classification_datalist",
    "write_datalist",
]

__getattr__ = moved_names(
    __name__,
    {
        "CaseReport": "monai_proto.preparation",
        "SelectionWeights": "monai_proto.active_learning",
        "StudyChoice": "monai_proto.active_learning",
        "StudyFailure": "monai_proto.active_learning",
        "StudyReasons": "monai_proto.active_learning",
        "StudyScore": "monai_proto.active_learning",
        "StudyScoreCache": "monai_proto.active_learning",
        "file_stamp": "monai_proto.active_learning",
        "phantom_dataset_dir": "monai_proto.phantoms",
        "select_study": "monai_proto.active_learning",
        "write_ct_phantom_dataset": "monai_proto.phantoms",
        "write_dermoscopy_phantom_dataset": "monai_proto.phantoms",
        "write_mri_phantom_dataset": "monai_proto.phantoms",
    },
)
