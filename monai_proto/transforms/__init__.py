"""Transforms of images and of batches."""

from monai_proto.transforms.bidirectional_copy_paste import RandBidirectionalCopyPaste
from monai_proto.transforms.load_color_images import LoadColorImaged
from monai_proto.transforms.load_volumes import CheckLabeld, LoadVolumesd

__all__ = [
    "CheckLabeld",
    "LoadColorImaged",
    "LoadVolumesd",
    "RandBidirectionalCopyPaste",
]
