"""Transforms of images and of batches."""

from monai_proto.data.boxes.checks import box_problems, check_boxes
from monai_proto.data.boxes.from_mask import boxes_from_mask
from monai_proto.transforms.bidirectional_copy_paste import RandBidirectionalCopyPaste
from monai_proto.transforms.boxes_from_maskd import BoxesFromMaskd
from monai_proto.transforms.check_boxesd import CheckBoxesd
from monai_proto.transforms.grey_range import VolumeToGreyd, intensity_window
from monai_proto.transforms.load_color_images import LoadColorImaged
from monai_proto.transforms.load_object_mask import LoadObjectMaskd
from monai_proto.transforms.load_volume_slices import LoadVolumeSliced
from monai_proto.transforms.load_volumes import CheckLabeld, LoadVolumesd
from monai_proto.transforms.prompts_from_boxes import PromptsFromBoxesd, prompts_from_boxes
from monai_proto.transforms.ring_points import SampleRingPointsd, sample_ring_points
from monai_proto.transforms.volume_prompts import VolumePromptsd

__all__ = [
    "BoxesFromMaskd",
    "CheckBoxesd",
    "CheckLabeld",
    "LoadColorImaged",
    "LoadObjectMaskd",
    "LoadVolumeSliced",
    "LoadVolumesd",
    "PromptsFromBoxesd",
    "RandBidirectionalCopyPaste",
    "SampleRingPointsd",
    "VolumePromptsd",
    "VolumeToGreyd",
    "box_problems",
    "boxes_from_mask",
    "check_boxes",
    "intensity_window",
    "prompts_from_boxes",
    "sample_ring_points",
]
