"""
Boxes that an annotator drew in a client, as the small and the big box of objects.

A client sends them as JSON of 3D Slicer's ROI markups (two ROIs an object, one in the other), as a label map in which
every value is a box (what a person paints where the client has no boxes), or as plain JSON::

    {"objects": [{"small_box": [x1, y1, x2, y2], "big_box": [x1, y1, x2, y2], "axis": "axial", "slice": 12}]}

with ``axis`` and ``slice`` for volumes alone. Stored is always the last form. Boxes are in pixels, edges, see
:mod:`monai_proto.data.boxes.checks`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from monai.transforms import LoadImage
from PIL import Image

from monai_proto.apps.monailabel.label_checks import is_picture, label_problem
from monai_proto.data.atomic_write import write_text_atomically
from monai_proto.data.boxes.checks import box_problems
from monai_proto.data.json_file import read_json
from monai_proto.data.volume_slices import SliceOptions

__all__ = ["BOXES_TAG", "boxed_items", "read_client_boxes", "write_boxes"]

BOXES_TAG = "boxes"
_SLICES = 3  # of a pair of 3-D boxes, spread evenly over the small one
_LPS_TO_RAS = np.array([-1.0, -1.0, 1.0])


def read_client_boxes(file: str | os.PathLike, image: str | os.PathLike) -> list[dict[str, Any]]:
    """
    Args:
        file: what the client sent, ``.json`` or a label map.
        image: the study's image.

    Returns:
        objects, each with ``small_box``, ``big_box`` and, for volumes, ``axis`` and ``slice``.

    Raises:
        ValueError: when the file has another form, boxes do not pair, or a pair is no small box inside of a big one
            inside of the image.
    """
    if str(file).lower().endswith(".json"):
        content = read_json(file, "Boxes")
        if isinstance(content, Mapping) and isinstance(content.get("markups"), list):
            objects = _from_markups(content["markups"], image)
        elif isinstance(content, Mapping) and isinstance(content.get("objects"), list):
            objects = [_plain_object(entry, image) for entry in content["objects"]]
        else:
            raise ValueError('Boxes must be JSON with "markups" (ROIs of 3D Slicer) or "objects".')
    else:
        objects = _from_label_map(file, image)
    if not objects:
        raise ValueError("Boxes hold no object.")
    for entry in objects:
        problems = box_problems(entry["small_box"], entry["big_box"], _slice_size(image, entry))
        if problems:
            raise ValueError(f"Boxes of an object cannot be used: {'; '.join(problems)}.")
    return objects


def write_boxes(objects: Sequence[Mapping[str, Any]], file: Path) -> Path:
    """Write objects in the form that is stored."""
    write_text_atomically(file, json.dumps({"objects": list(objects)}, indent=1) + "\n")
    return file


def boxed_items(
    study: str, image: str | os.PathLike, boxes: str | os.PathLike, mask: str | os.PathLike | None = None
) -> list[dict[str, Any]]:
    """
    Items for a bundle's training list, see :func:`monai_proto.data.load_boxed_images` and ``load_boxed_slices``.

    Args:
        study: its name, which is taken for the patient.
        image: the study's image.
        boxes: file that :func:`write_boxes` wrote.
        mask: label map of the study, to score the model with. Of a volume's, the object is what lies in the small box.
    """
    items = []
    for index, entry in enumerate(json.loads(Path(boxes).read_text(encoding="utf-8"))["objects"]):
        item = {"image": str(image), **entry, "image_id": f"{study}_{index}", "patient_id": study}
        if mask is not None:
            item["mask"] = str(mask)
        if "slice" in entry:
            item["label_values"] = [1] if mask is None else _values_in_small_box(mask, entry)
        items.append(item)
    return items


def _values_in_small_box(mask: str | os.PathLike, entry: Mapping[str, Any]) -> list[int]:
    """Label values in the small box of a slice, else all of the label map."""
    labels = nib.load(mask)
    voxels = np.asarray(labels.dataobj).reshape(labels.shape[:3])
    axis = SliceOptions(axis=str(entry["axis"])).voxel_axis(labels.affine)
    x1, y1, x2, y2 = (round(value) for value in entry["small_box"])
    inside = voxels.take(entry["slice"], axis=axis)[y1:y2, x1:x2]
    return sorted({int(v) for v in np.unique(inside if inside.any() else voxels) if v > 0})


def _plain_object(entry: Any, image: str | os.PathLike) -> dict[str, Any]:
    wanted = ("small_box", "big_box") if is_picture(image) else ("small_box", "big_box", "axis", "slice")
    if not isinstance(entry, Mapping) or any(key not in entry for key in wanted):
        raise ValueError(f"Boxes: an object must have {', '.join(wanted)}, got {entry}.")
    item = {key: entry[key] for key in wanted}
    if "slice" in item:
        axis = SliceOptions(axis=str(item["axis"])).voxel_axis(nib.load(image).affine)
        count = nib.load(image).shape[axis]
        if not isinstance(item["slice"], int) or not 0 <= item["slice"] < count:
            raise ValueError(f"Boxes: slice must be in 0 .. {count - 1}, got {item['slice']}.")
    return item


def _from_markups(markups: Sequence[Any], image: str | os.PathLike) -> list[dict[str, Any]]:
    if is_picture(image):
        raise ValueError('ROI markups are for volumes; send boxes of a picture as JSON with "objects".')
    affine = nib.load(image).affine
    return _paired_volume_boxes([_voxel_box(markup, affine) for markup in markups], image)


def _voxel_box(markup: Any, affine: np.ndarray) -> np.ndarray:
    """An ROI's bounding box in edges of voxels (2, 3)."""
    try:
        centre, size = (np.array(markup[key], dtype=float).reshape(3) for key in ("center", "size"))
        turned = np.array(markup.get("orientation", np.eye(3)), dtype=float).reshape(3, 3)
        to_ras = _LPS_TO_RAS if markup.get("coordinateSystem", "LPS") in ("LPS", "1", 1) else np.ones(3)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"Boxes: an ROI must have center and size of three numbers, got {markup}.") from error
    corners = [(centre + turned @ (size * offset / 2)) * to_ras for offset in product((-1, 1), repeat=3)]
    voxels = nib.affines.apply_affine(np.linalg.inv(affine), np.array(corners)) + 0.5
    return np.stack([voxels.min(axis=0), voxels.max(axis=0)])


def _from_label_map(file: str | os.PathLike, image: str | os.PathLike) -> list[dict[str, Any]]:
    problem = label_problem(image, file)
    if problem:
        raise ValueError(f"Boxes as a label map: {problem}")
    if is_picture(image):
        with Image.open(file) as picture:
            values = np.asarray(picture.convert("L"))
        pairs = _pairs([_extent(values == value)[:, ::-1] for value in np.unique(values[values > 0])])
        return [{"small_box": small.ravel().tolist(), "big_box": big.ravel().tolist()} for small, big in pairs]
    values = np.asarray(LoadImage(image_only=True)(file)).reshape(nib.load(image).shape[:3])
    return _paired_volume_boxes([_extent(values == value) for value in np.unique(values[values > 0])], image)


def _extent(mask: np.ndarray) -> np.ndarray:
    places = np.argwhere(mask)
    return np.stack([places.min(axis=0), places.max(axis=0) + 1]).astype(float)


def _pairs(boxes: Sequence[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Every big box (low, high corner) with the one inside of it."""
    rest = sorted(boxes, key=lambda box: float(np.prod(box[1] - box[0])))
    if len(rest) % 2:
        raise ValueError(f"Boxes must come in pairs, a small one in a big one; there are {len(rest)}.")
    pairs = []
    while rest:
        small = rest.pop(0)
        around = [i for i, big in enumerate(rest) if (big[0] <= small[0]).all() and (big[1] >= small[1]).all()]
        if not around:
            raise ValueError(
                f"Boxes: no other box lies around the one from {small[0].tolist()} to {small[1].tolist()}."
            )
        pairs.append((small, rest.pop(around[0])))
    return pairs


def _paired_volume_boxes(boxes: Sequence[np.ndarray], image: str | os.PathLike) -> list[dict[str, Any]]:
    """Pairs of 3-D boxes as boxes in a few axial slices of the small one."""
    volume = nib.load(image)
    axis = SliceOptions(axis="axial").voxel_axis(volume.affine)
    row, column = (a for a in range(3) if a != axis)
    objects = []
    for small, big in _pairs(boxes):
        big = np.clip(big, 0, volume.shape[:3])
        first, last = int(np.ceil(small[0, axis])), int(np.floor(small[1, axis])) - 1
        if not 0 <= first <= last < volume.shape[axis]:
            raise ValueError(f"Boxes: the small box spans no whole slice of the image along axis {axis}.")
        flat_small, flat_big = ([float(box[c, a]) for c in (0, 1) for a in (column, row)] for box in (small, big))
        for index in np.unique(np.linspace(first, last, _SLICES + 2).round()[1:-1].astype(int)):
            objects.append({"small_box": flat_small, "big_box": flat_big, "axis": str(axis), "slice": int(index)})
    return objects


def _slice_size(image: str | os.PathLike, entry: Mapping[str, Any]) -> tuple[int, int]:
    """(H, W) of the picture that the boxes are in."""
    if is_picture(image):
        with Image.open(image) as picture:
            return picture.size[1], picture.size[0]
    volume = nib.load(image)
    axis = SliceOptions(axis=str(entry["axis"])).voxel_axis(volume.affine)
    height, width = (volume.shape[a] for a in range(3) if a != axis)
    return height, width
