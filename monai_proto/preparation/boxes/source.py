"""Where boxes come from: masks of pictures, label maps of volumes, a table, or a COCO file."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from rich.console import Console

from monai_proto.data.boxes.annotation import BoxAnnotation, BoxOptions
from monai_proto.data.picture_files import PictureFolder
from monai_proto.data.volume_slices import SliceOptions, boxes_of_volumes, find_volumes
from monai_proto.preparation.boxes.annotation_files import read_box_coco, read_box_csv
from monai_proto.preparation.boxes.checks import annotations_of_unused_pictures, check_pictures
from monai_proto.preparation.boxes.mask_folder import boxes_of_mask_folder

__all__ = ["BoxSource", "find_annotations"]

BoxSource = Literal["masks", "boxes", "coco"]


def find_annotations(
    images: Path,
    source: BoxSource,
    source_path: Path,
    box_options: BoxOptions,
    slice_options: SliceOptions,
    inclusive_corners: bool = False,
    console: Console | None = None,
) -> list[BoxAnnotation]:
    """
    The objects of all pictures or volumes, checked.

    Args:
        images: folder of pictures, or of NIfTI images.
        source: what ``source_path`` is: a folder of masks or label maps, a table of boxes, or a COCO file.
        source_path: the folder or file.
        box_options: how boxes are made from masks.
        slice_options: which slices of volumes are taken.
        inclusive_corners: see :func:`read_box_csv`.
        console: where progress bars are shown; None for nowhere.

    Raises:
        ValueError: when a folder or file cannot be read, or volumes have no label maps.
    """
    volumes = find_volumes(images)
    if volumes:
        if source != "masks":
            raise ValueError(f"--{source} is for pictures, but {images} holds NIfTI files: give their --masks.")
        return boxes_of_volumes(volumes, find_volumes(source_path), slice_options, box_options, console)
    pictures = PictureFolder(images)
    if source == "masks":
        annotations = boxes_of_mask_folder(pictures, source_path, box_options, console)
    elif source == "boxes":
        annotations = read_box_csv(source_path, pictures, inclusive_corners)
    else:
        annotations = read_box_coco(source_path, pictures)
    check_pictures(annotations, console)
    return annotations + annotations_of_unused_pictures(annotations, pictures)
