"""Slices of NIfTI volumes with a small and a big box per object, for training: from a list of boxes or of masks."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from monai.data import check_missing_files

from monai_proto.data.boxes.annotation import BoxAnnotation, BoxOptions
from monai_proto.data.boxes.datalist import BOX_PARTS, BOX_TASK, datalist_task, divide_boxed_items, read_box_datalist
from monai_proto.data.datalist import datalist_file, read_datalist
from monai_proto.data.nifti import case_name
from monai_proto.data.volume_slices import SliceOptions, boxes_of_volume_pairs, label_groups

__all__ = ["load_boxed_slices"]

logger = logging.getLogger(__name__)

_SLICE_KEYS = ("axis", "slice", "label_values")
_SHOWN = 5


def load_boxed_slices(
    dataset_dir: str | os.PathLike,
    axis: str | int = "axial",
    slices: str | int = "largest",
    labels: str | int | Sequence[int | str] | None = None,
    small_placement: str = "inscribed",
    num_training: int | None = None,
    validation_fraction: float = 0.1,
    seed: int = 0,
    jitter: float = 0.05,
    min_pixels: int = 25,
) -> dict[str, list[dict[str, Any]]]:
    """
    The items of a data set by part, each one object in one slice.

    A list that ``monai-proto prepare boxes`` wrote has its slices and boxes; only ``labels`` is looked at, to take
    some of its objects. From a Decathlon list of volumes with label maps, such as that of the phantoms, slices are
    picked and boxes made as that script does it. Objects in several parts, or too small in every slice, are left out;
    the log says how many and which.

    Args:
        dataset_dir: folder with a ``dataset.json``, or the JSON file itself.
        axis, slices, min_pixels: see :class:`SliceOptions`.
        labels: values that are objects, see :func:`label_groups`; None for all.
        small_placement: see :func:`boxes_from_mask`.
        num_training: the first so many training slices in a random order of subjects; None for all.
        validation_fraction: share of the training subjects that is put aside where the list has no validation part.
        seed: of the draws, and of the boxes that are made.
        jitter: of the boxes that are made.

    Returns:
        ``training``, ``validation`` and ``test``: items with ``image`` (the volume), ``axis``, ``slice``,
        ``label_values``, ``small_box``, ``big_box``, ``image_id``, ``patient_id`` and, where there is one, ``mask``
        (the label map). Validation items have a mask. Training items have all one, or none.

    Raises:
        ValueError: when the list is missing or of another kind, a volume cannot be used (its label map has another
            grid, for instance), no object is left, there are fewer training slices than asked for, or validation lacks
            masks.
    """
    slice_options = SliceOptions(str(axis), str(slices), label_groups(labels), min_pixels)
    file = datalist_file(dataset_dir)
    if datalist_task(file) == BOX_TASK:
        parts = _listed_slices(file, slice_options)
    else:
        box_options = BoxOptions(jitter=jitter, small_placement=small_placement, seed=seed)
        parts = _slices_of_volumes(file, slice_options, box_options)
    return divide_boxed_items(parts, file, num_training, validation_fraction, seed)


def _listed_slices(file: Path, options: SliceOptions) -> dict[str, list[dict[str, Any]]]:
    content = read_box_datalist(file)
    parts = {part: content[part] for part in BOX_PARTS}
    for part, items in parts.items():
        for item in items:
            if any(key not in item for key in _SLICE_KEYS):
                raise ValueError(
                    f"Data list {file}: items must be slices of volumes with {', '.join(_SLICE_KEYS)}, got "
                    f"{item['image_id']} of {part}. Pictures are for the bundle dermoscopy_sam_weak_segmentation."
                )
    if options.label_groups is None:
        return parts
    wanted = {frozenset(group) for group in options.label_groups}
    chosen = {part: [i for i in items if frozenset(i["label_values"]) in wanted] for part, items in parts.items()}
    if not chosen["training"]:
        found = sorted({"+".join(map(str, item["label_values"])) for item in parts["training"]})
        raise ValueError(f"labels must be among those of data list {file}, {', '.join(found)}; no object is left.")
    return chosen


def _slices_of_volumes(
    file: Path, slice_options: SliceOptions, box_options: BoxOptions
) -> dict[str, list[dict[str, Any]]]:
    content = read_datalist(file)
    parts: dict[str, list[dict[str, Any]]] = {}
    left_out: list[BoxAnnotation] = []
    for part in BOX_PARTS:
        volumes = [item for item in content[part] if "label" in item]
        missing = check_missing_files(volumes, keys=("image", "label"))
        if missing:
            raise ValueError(f"Data list {file} names a file under {part} that does not exist: {missing[0]}.")
        annotations = boxes_of_volume_pairs([_whole(item) for item in volumes], slice_options, box_options)
        parts[part] = [_item(one) for one in annotations if not one.problems]
        left_out += [one for one in annotations if one.problems]
    _refuse_unusable_volumes(left_out, file)
    if not parts["training"]:
        raise ValueError(f"Data list {file} gives no slice to train with. {_described(left_out)}")
    if left_out:
        logger.warning("Data list %s: %d objects are left out. %s", file, len(left_out), _described(left_out))
    return parts


def _whole(item: Mapping[str, Any]) -> BoxAnnotation:
    name = case_name(item["image"])
    return BoxAnnotation(name, Path(item["image"]), name, mask=Path(item["label"]), subject=item["patient_id"])


def _item(annotation: BoxAnnotation) -> dict[str, Any]:
    item = annotation.as_item("/")
    return {**item, "image": str(annotation.image), "mask": str(annotation.mask)}


def _refuse_unusable_volumes(left_out: list[BoxAnnotation], file: Path) -> None:
    """An object may be absent; a volume that cannot be read or does not fit its label map is a mistake."""
    faulty = [one for one in left_out if one.case == one.image_id]
    if faulty:
        raise ValueError(f"Data list {file} has {len(faulty)} volumes that cannot be used. {_described(faulty)}")


def _described(annotations: list[BoxAnnotation]) -> str:
    texts = [f"{one.case}: {'; '.join(one.problems)}" for one in annotations[:_SHOWN]]
    more = f" and {len(annotations) - _SHOWN} more" if len(annotations) > _SHOWN else ""
    return " | ".join(texts) + more
