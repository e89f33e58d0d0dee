"""The data sets of the semi-supervised benchmark: splits, cached volumes, augmentation."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from monai.data import Dataset
from monai.transforms import (
    CastToTyped,
    Compose,
    CopyItemsd,
    EnsureTyped,
    NormalizeIntensityd,
    RandAffined,
    RandCoarseDropoutd,
    RandGaussianNoised,
    RandGaussianSmoothd,
    RandScaleIntensityd,
    RandShiftIntensityd,
    RandSpatialCropd,
    SpatialPadd,
)

from monai_proto.data import read_datalist
from monai_proto.transforms import CheckLabeld, LoadVolumesd

__all__ = ["TASKS", "SegmentationTask", "Split", "augmentation", "load_split", "load_volumes"]


@dataclass(frozen=True)
class SegmentationTask:
    """
    Attributes:
        folder: below MONAI_PROTO_DATA.
        labels: names of the classes from 1 on.
        patch_size: voxels of a training patch.
        validation_tail: cases put aside from the back of the list, 0 where the list has a validation part.
        draw_labelled: whether a seed draws which cases are labelled (one a subject); else the first of the list are.
    """

    folder: str
    labels: tuple[str, ...]
    patch_size: tuple[int, int, int]
    validation_tail: int
    draw_labelled: bool

    @property
    def num_classes(self) -> int:
        return len(self.labels) + 1


TASKS = {
    "hippocampus": SegmentationTask("hippocampus", ("anterior", "posterior"), (32, 48, 32), 0, True),
    "left_atrium": SegmentationTask("left_atrium", ("left atrium",), (64, 56, 32), 16, False),
}


@dataclass
class Split:
    """Items of loaded, normalised volumes: ``labelled`` and ``validation`` with labels, ``unlabelled`` without."""

    labelled: Dataset
    unlabelled: Dataset
    validation: list[dict]
    labelled_names: list[str]


def load_split(task: SegmentationTask, num_labelled: int | None, seed: int, strong_views: int = 0) -> Split:
    """
    Args:
        task: which data.
        num_labelled: labelled cases; None labels all training cases.
        seed: draws the labelled cases where the task says so.
        strong_views: strongly perturbed views of each unlabelled image.

    Raises:
        ValueError: when MONAI_PROTO_DATA is not set.
    """
    training, validation = _items(task)
    chosen = _labelled_indices(training, num_labelled, seed if task.draw_labelled else None)
    volumes = _loaded(training, task)
    labelled = [volumes[i] for i in chosen]
    rest = range(len(training)) if num_labelled is None else [i for i in range(len(training)) if i not in set(chosen)]
    return Split(
        labelled=Dataset(labelled, augmentation(task, ("image", "label"))),
        unlabelled=Dataset(
            [{"image": volumes[i]["image"]} for i in rest], augmentation(task, ("image",), strong_views)
        ),
        validation=_loaded(validation, task),
        labelled_names=[Path(training[i]["image"]).name for i in chosen],
    )


def load_volumes(task: SegmentationTask) -> tuple[list[dict], list[dict], list[dict]]:
    """
    Returns:
        loaded, normalised volumes with labels of the training and of the validation cases, and the training items of
        the data list, with their ``patient_id``.

    Raises:
        ValueError: when MONAI_PROTO_DATA is not set.
    """
    training, validation = _items(task)
    return _loaded(training, task), _loaded(validation, task), training


def _items(task: SegmentationTask) -> tuple[list[dict], list[dict]]:
    """Training and validation part of the data list."""
    root = os.environ.get("MONAI_PROTO_DATA")
    if not root:
        raise ValueError("MONAI_PROTO_DATA must point at the folder of development data.")
    datalist = read_datalist(Path(root) / task.folder)
    training, validation = datalist["training"], datalist["validation"]
    if task.validation_tail:
        training, validation = training[: -task.validation_tail], training[-task.validation_tail :]
    return training, validation


def _loaded(items: list[dict], task: SegmentationTask) -> list[dict]:
    load = _preprocessing(task)
    return [load({"image": item["image"], "label": item["label"]}) for item in items]


def augmentation(task: SegmentationTask, keys: tuple[str, ...], strong_views: int = 0) -> Compose:
    """
    Random patch, light affine and intensity changes, the same for every method. ``strong_views`` adds views of the same
    geometry with strong changes of intensity and holes: ``image_strong``, ``image_strong_2``, ...
    """
    transforms = [
        RandSpatialCropd(keys, task.patch_size, random_size=False),
        RandAffined(
            keys,
            prob=0.5,
            rotate_range=(0.2, 0.2, 0.2),
            scale_range=(0.1, 0.1, 0.1),
            translate_range=(2, 2, 2),
            mode=("bilinear", "nearest")[: len(keys)],
            padding_mode="border",
        ),
        RandScaleIntensityd("image", 0.1, prob=0.5),
        RandShiftIntensityd("image", 0.1, prob=0.5),
        RandGaussianNoised("image", prob=0.3, std=0.1),
    ]
    strong = ["image_strong" if number == 1 else f"image_strong_{number}" for number in range(1, strong_views + 1)]
    if strong:
        transforms.append(CopyItemsd("image", times=strong_views, names=strong))
    for key in strong:
        transforms += [
            RandScaleIntensityd(key, 0.5, prob=0.8),
            RandShiftIntensityd(key, 0.5, prob=0.8),
            RandGaussianSmoothd(key, (0.5, 1.5), (0.5, 1.5), (0.5, 1.5), prob=0.5),
            RandGaussianNoised(key, prob=0.8, std=0.3),
            RandCoarseDropoutd(key, holes=4, spatial_size=tuple(size // 4 for size in task.patch_size), prob=0.5),
        ]
    return Compose(transforms)


def _preprocessing(task: SegmentationTask) -> Compose:
    keys = ("image", "label")
    return Compose(
        [
            LoadVolumesd(keys),
            CheckLabeld("label", task.num_classes),
            EnsureTyped(keys, track_meta=False),
            NormalizeIntensityd("image"),
            SpatialPadd(keys, task.patch_size),
            CastToTyped("label", np.uint8),
        ]
    )


def _labelled_indices(training: list[dict], num_labelled: int | None, seed: int | None) -> list[int]:
    """Labelled cases in the order of the list, or drawn at random with one of each subject at the most."""
    if num_labelled is None:
        return list(range(len(training)))
    if seed is None:
        return list(range(num_labelled))
    chosen: dict[str, int] = {}
    for index in np.random.RandomState(seed).permutation(len(training)):
        chosen.setdefault(training[index]["patient_id"], int(index))
        if len(chosen) == num_labelled:
            break
    return list(chosen.values())
