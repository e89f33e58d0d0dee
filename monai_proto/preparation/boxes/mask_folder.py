"""Pictures and their masks in two folders: which mask is whose, and the boxes of every pair."""

from __future__ import annotations

import os
from pathlib import Path

from rich.console import Console
from rich.progress import track

from monai_proto.data.boxes.annotation import BoxAnnotation, BoxOptions, mark_repeated_cases
from monai_proto.data.picture_files import PictureFolder, read_mask_picture

__all__ = ["boxes_of_mask_folder"]

_SEPARATORS = "_-. "


def boxes_of_mask_folder(
    images: PictureFolder, masks: str | os.PathLike, options: BoxOptions, console: Console | None = None
) -> list[BoxAnnotation]:
    """
    Boxes from masks. A mask belongs to the image whose name (without suffix) its own is, or begins with, such as
    ``ISIC_0024306_segmentation.png`` to ``ISIC_0024306.jpg``.

    Args:
        images: the pictures.
        masks: folder of their masks, of the same size each.
        options: how boxes are made.
        console: where a progress bar is shown; None for nowhere.

    Returns:
        one annotation an image, with problems where it has no mask, several, or one that gives no boxes; masks without
        an image come as ones with a problem.

    Raises:
        ValueError: when ``masks`` is no folder or holds no picture.
    """
    masks_of, strangers = _pair(images.files, PictureFolder(masks).files)
    annotations = []
    for image in track(images.files, "Making boxes", console=console, disable=console is None):
        annotation = BoxAnnotation(images.case_of(image), image, image.stem, source=image.name)
        annotations.append(annotation)
        own = masks_of[image]
        if len(own) != 1:
            names = ", ".join(mask.name for mask in own)
            annotation.problems.append(f"{len(own)} masks, expected one: {names}" if own else "image without a mask")
            continue
        annotation.mask = own[0]
        mask, annotation.problems, annotation.notes = read_mask_picture(own[0])
        if mask is not None:
            annotation.declared_size = mask.shape
            options.annotate(annotation, mask)
    mark_repeated_cases(annotations)
    for file in strangers:
        annotations.append(BoxAnnotation(file.stem, None, file.stem, mask=file, problems=["mask without an image"]))
    return annotations


def _pair(images: list[Path], masks: list[Path]) -> tuple[dict[Path, list[Path]], list[Path]]:
    """Masks of each image, and masks of none. An image that lies in the folder of masks is the mask of no image."""
    image_of: dict[str, list[Path]] = {}
    for image in images:
        image_of.setdefault(image.stem, []).append(image)
    masks_of: dict[Path, list[Path]] = {image: [] for image in images}
    strangers = []
    for mask in masks:
        if mask in masks_of:
            continue
        owners = image_of.get(_longest_known_beginning(mask.stem, image_of), [])
        for owner in owners:
            masks_of[owner].append(mask)
        if not owners:
            strangers.append(mask)
    return masks_of, strangers


def _longest_known_beginning(name: str, known: dict[str, list[Path]]) -> str:
    if name in known:
        return name
    for end in range(len(name) - 1, 0, -1):
        if name[end] in _SEPARATORS and name[:end] in known:
            return name[:end]
    return ""
