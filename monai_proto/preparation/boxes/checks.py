"""Reads every picture that boxes were drawn on once, and marks the objects that cannot be used."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.progress import track

from monai_proto.data.boxes.annotation import BoxAnnotation
from monai_proto.data.boxes.checks import box_problems
from monai_proto.data.case import CopyDropper
from monai_proto.data.color_image import describe_conversion, read_color_image
from monai_proto.data.picture_files import PictureFolder, short_message
from monai_proto.preparation.image_hash import pixel_hash

__all__ = ["Picture", "annotations_of_unused_pictures", "check_pictures", "read_picture"]


@dataclass(frozen=True)
class Picture:
    """
    What is known of a picture after all of it was read.

    Args:
        size: (H, W) in pixels, the right way up; None when it cannot be read.
        pixel_hash: the same for the same picture in another file format.
        problems: why it cannot be used.
        notes: what its user should know.
    """

    size: tuple[int, int] | None = None
    pixel_hash: str = ""
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def check_pictures(annotations: Iterable[BoxAnnotation], console: Console | None = None) -> None:
    """
    Set the problems of pictures: unreadable, of another size than the boxes were drawn on, the same as another one (the
    first stays, by name); and of boxes: swapped, without area, outside of the picture, the small one not in the big.

    Args:
        annotations: objects; those that have a problem already are passed over.
        console: where a progress bar is shown; None for nowhere.
    """
    by_image: dict[Path, list[BoxAnnotation]] = {}
    for annotation in annotations:
        if annotation.image is not None and not annotation.problems:
            by_image.setdefault(annotation.image, []).append(annotation)
    copies = CopyDropper[BoxAnnotation](
        lambda one: one.image, lambda _, first: f"duplicate: same pixels as {first.image_file.name}"
    )
    images = track(sorted(by_image), "Checking images", console=console, disable=console is None)
    for image in images:
        picture = read_picture(image)
        for annotation in by_image[image]:
            annotation.problems += picture.problems
            copies.drop(annotation, picture.pixel_hash)
            annotation.notes += picture.notes
            if picture.size is not None:
                annotation.problems += _size_problems(annotation, picture.size)
                annotation.problems += box_problems(annotation.small_box, annotation.big_box, picture.size)


def annotations_of_unused_pictures(annotations: Iterable[BoxAnnotation], images: PictureFolder) -> list[BoxAnnotation]:
    """Pictures of a folder that no annotation is about, each with that as its problem."""
    used = {annotation.image for annotation in annotations}
    return [
        BoxAnnotation(images.case_of(file), file, file.stem, problems=["no boxes"])
        for file in images.files
        if file not in used
    ]


def read_picture(file: str | os.PathLike) -> Picture:
    """Read all of a picture as :func:`read_color_image` does for training; it must not be of a single colour."""
    try:
        image = read_color_image(file)
        notes = describe_conversion(file)
    except ValueError as error:
        return Picture(problems=[f"unreadable: {short_message(error, file)}"])
    constant = len(image.getcolors(1) or ()) == 1
    problems = ["image is of a single colour"] if constant else []
    return Picture((image.height, image.width), pixel_hash(image), problems, notes)


def _size_problems(annotation: BoxAnnotation, size: tuple[int, int]) -> list[str]:
    declared = annotation.declared_size
    if declared is None or tuple(declared) == size:
        return []
    what = "mask is" if annotation.mask is not None else "boxes are"
    return [f"{what} for {declared[1]} x {declared[0]} pixels, the image has {size[1]} x {size[0]}"]
