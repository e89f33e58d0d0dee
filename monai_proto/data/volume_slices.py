"""Slices of NIfTI volumes as pictures with one object each: which are taken, and the boxes of that object."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from rich.console import Console
from rich.progress import track

from monai_proto.data.boxes.annotation import BoxAnnotation, BoxOptions
from monai_proto.data.case import CopyDropper
from monai_proto.data.nifti import Volume, case_name, is_apple_double, is_nifti_name, read_volume, voxel_hash
from monai_proto.data.volume_checks import check_image, check_label_values, check_same_affine, check_same_shape

__all__ = ["SliceOptions", "boxes_of_volume_pairs", "boxes_of_volumes", "find_volumes", "label_groups", "volume_slice"]

_CHANNEL_SUFFIX = "_0000"  # nnU-Net's name of the only channel of an image
_ANATOMICAL_AXES = {"sagittal": 0, "coronal": 1, "axial": 2}


def volume_slice(voxels: np.ndarray, axis: int, index: int) -> np.ndarray:
    """
    The picture (H, W) of a slice: the other two axes of the voxel array in their order, as stored. A box's y runs
    along the first of them, its x along the second.

    Args:
        voxels: (X, Y, Z).
        axis: the axis that the slice is perpendicular to.
        index: where along it.
    """
    return np.take(voxels, index, axis=axis)


def find_volumes(folder: str | os.PathLike) -> list[Path]:
    """NIfTI files of a folder, by name; none when it is no folder or has none."""
    files = sorted(Path(folder).glob("*")) if Path(folder).is_dir() else []
    return [file for file in files if file.is_file() and is_nifti_name(file) and not is_apple_double(file)]


def boxes_of_volumes(
    images: Sequence[Path],
    labels: Sequence[Path],
    slice_options: SliceOptions,
    box_options: BoxOptions,
    console: Console | None = None,
) -> list[BoxAnnotation]:
    """
    Boxes of slices, one volume in memory at a time. Images and label maps belong together by name.

    Args:
        images: files of the images.
        labels: files of the label maps.
        slice_options: which slices are taken, and what is an object.
        box_options: how boxes are made.
        console: where a progress bar is shown; None for nowhere.

    Returns:
        one annotation an object in a slice; volumes that cannot be used come as one with problems.
    """
    label_of = {case_name(label): label for label in labels}
    volumes = []
    for image in images:
        name = case_name(image)
        label = label_of.pop(name, None) or label_of.pop(name.removesuffix(_CHANNEL_SUFFIX), None)
        volumes.append(BoxAnnotation(name, image, name, mask=label))
    annotations = boxes_of_volume_pairs(volumes, slice_options, box_options, console)
    for name, label in label_of.items():
        annotations.append(BoxAnnotation(name, None, name, mask=label, problems=["label without image"]))
    return annotations


def boxes_of_volume_pairs(
    volumes: Sequence[BoxAnnotation],
    slice_options: SliceOptions,
    box_options: BoxOptions,
    console: Console | None = None,
) -> list[BoxAnnotation]:
    """
    Boxes of slices of volumes whose label maps are known, one volume in memory at a time.

    Args:
        volumes: one a volume, with ``case``, ``image``, ``mask`` (its label map) and ``subject``.
        slice_options, box_options, console: see :func:`boxes_of_volumes`.

    Returns:
        one annotation an object in a slice; volumes that cannot be used come as one with problems.
    """
    annotations: list[BoxAnnotation] = []
    copies = CopyDropper[BoxAnnotation](
        lambda whole: whole.image, lambda _, first: f"duplicate: same voxels as {first.image_file.name}"
    )
    for whole in track(volumes, "Making boxes", console=console, disable=console is None):
        pair = _read_pair(whole, copies)
        if pair is None:
            annotations.append(whole)
            continue
        for annotation, mask in _objects(*pair, whole, slice_options):
            annotations.append(annotation)
            if mask is not None:
                box_options.annotate(annotation, mask)
    return annotations


@dataclass(frozen=True)
class SliceOptions:
    """
    Which slices of a volume become pictures.

    Args:
        axis: ``"axial"``, ``"coronal"`` or ``"sagittal"``: the voxel axis that runs nearest to that direction by the
            volume's affine; or ``"0"``, ``"1"``, ``"2"``, a voxel axis as stored.
        slices: ``"largest"``, the slice with most of the object; ``"all"`` that show it; or a number of slices, spread
            evenly over those.
        label_groups: label values that are an object together; None makes every value that is found an object.
        min_pixels: least area of an object in a slice, in pixels; slices with less of it do not count as showing it.

    Raises:
        ValueError: when an option is out of range.
    """

    axis: str = "axial"
    slices: str = "largest"
    label_groups: tuple[tuple[int, ...], ...] | None = None
    min_pixels: int = 25

    def __post_init__(self) -> None:
        if self.axis not in (*_ANATOMICAL_AXES, "0", "1", "2"):
            raise ValueError(f"axis must be one of {(*_ANATOMICAL_AXES, '0', '1', '2')}, got {self.axis!r}.")
        if self.slices not in ("largest", "all") and not (self.slices.isdigit() and int(self.slices) > 0):
            raise ValueError(f"slices must be largest, all or a number above 0, got {self.slices!r}.")
        if self.min_pixels < 1:
            raise ValueError(f"min_pixels must be at least 1, got {self.min_pixels}.")

    def voxel_axis(self, affine: np.ndarray) -> int:
        """The axis (0, 1, 2) of the voxel array that slices are perpendicular to."""
        if self.axis not in _ANATOMICAL_AXES:
            return int(self.axis)
        directions = nib.orientations.io_orientation(affine)[:, 0]
        return int(np.flatnonzero(directions == _ANATOMICAL_AXES[self.axis])[0])

    def pick(self, areas: np.ndarray) -> list[int]:
        """
        Args:
            areas: pixels of the object in every slice.

        Returns:
            indices of the slices to take, in order; none when no slice shows ``min_pixels`` of it.
        """
        usable = np.flatnonzero(areas >= self.min_pixels)
        if self.slices == "all" or not usable.size:
            return usable.tolist()
        if self.slices == "largest":
            return [int(areas.argmax())]
        places = (np.arange(int(self.slices)) + 0.5) / int(self.slices) * len(usable)
        return np.unique(usable[places.astype(int)]).tolist()


def label_groups(labels: str | int | Sequence[int | str] | None) -> tuple[tuple[int, ...], ...] | None:
    """
    Label values that are objects, as a person writes them.

    Args:
        labels: ``"1,2"`` for two objects, ``"1+2"`` for both values as one; a single value; a list of either.

    Returns:
        the values of each object; None for None or an empty text.

    Raises:
        ValueError: when they are no integers above 0.

    Example::

        >>> label_groups("1+2,5")
        ((1, 2), (5,))
    """
    if labels is None or labels == "":
        return None
    text = ",".join(map(str, labels)) if isinstance(labels, list | tuple) else str(labels)
    try:
        groups = tuple(tuple(int(value) for value in group.split("+")) for group in text.split(","))
    except ValueError:
        groups = ((0,),)
    if any(value < 1 for group in groups for value in group):
        raise ValueError(f"labels must be integers above 0 with commas, or plus signs, between, got {text!r}.")
    return groups


def _read_pair(whole: BoxAnnotation, copies: CopyDropper[BoxAnnotation]) -> tuple[Volume, Volume] | None:
    """Image and label map when both can be used, else None; sets the problems."""
    if whole.mask is None:
        whole.problems.append("image without label")
        return None
    if whole.image is None:
        whole.problems.append("label without image")
        return None
    image, problems = read_volume(whole.image)
    label, label_problems = read_volume(whole.mask)
    problems += label_problems
    if image is not None:
        problems += check_image(image)
    if image is not None and label is not None:
        problems += check_same_shape(image, label) + check_same_affine(image, label)
    if label is not None:
        problems += check_label_values(label)
    whole.problems += [
        f"{Path(problem.file).name}: {problem.message}" for problem in problems if not problem.is_warning
    ]
    if whole.problems or image is None or label is None or copies.drop(whole, voxel_hash(image)):
        return None
    return image, label


def _objects(
    image: Volume, label: Volume, whole: BoxAnnotation, options: SliceOptions
) -> Iterator[tuple[BoxAnnotation, np.ndarray | None]]:
    """Every object in every slice that is taken, with its mask; one with a problem and None where there is none."""
    values = label.data.reshape(label.data.shape[:3]).astype(np.int64)
    axis = options.voxel_axis(image.affine)
    groups = options.label_groups or [(value,) for value in np.unique(values).tolist() if value]
    for group in groups:
        name = f"{whole.case}_label{'+'.join(map(str, group))}"
        is_object = np.isin(values, group)
        areas = is_object.sum(axis=tuple(other for other in range(3) if other != axis))
        picked = options.pick(areas)
        if not picked:
            problem = f"no slice shows {options.min_pixels} pixels of the object, the largest {areas.max()}"
            yield BoxAnnotation(name, whole.image, whole.image_id, mask=whole.mask, problems=[problem]), None
        for index in picked:
            annotation = BoxAnnotation(
                f"{name}_axis{axis}_slice{index:03d}",
                whole.image,
                whole.image_id,
                mask=whole.mask,
                source="its label map",
                axis=axis,
                slice_index=index,
                label_values=group,
                subject=whole.subject,
            )
            picture = volume_slice(image.data.reshape(image.data.shape[:3]), axis, index)
            annotation.declared_size = picture.shape
            if picture.min() == picture.max():
                annotation.problems.append("image slice is constant")
            yield annotation, volume_slice(is_object, axis, index)
