"""Which volumes to segment, and with which prompts in which slices."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from monai_proto.data.boxes.prompted_images import prompt_entries, read_prompts
from monai_proto.data.boxes.slices import load_boxed_slices
from monai_proto.data.datalist import DATALIST_NAME
from monai_proto.data.nifti import case_name
from monai_proto.data.volume_slices import SliceOptions, find_volumes

__all__ = ["list_prompted_volumes"]


def list_prompted_volumes(
    path: str | os.PathLike,
    axis: str | int = "axial",
    slice: int | Sequence[int] | None = None,
    box: Sequence[float] | None = None,
    points: Sequence[Sequence[float]] | None = None,
    point_labels: Sequence[int] | None = None,
    prompts: str | os.PathLike | None = None,
    labels: str | int | Sequence[int | str] | None = None,
    slices: str | int = "all",
) -> list[dict[str, Any]]:
    """
    Volumes with prompts in pixels of their slices: x along the slice's last axis, y along the other, as stored.

    Args:
        path: one NIfTI file; a folder of them; or a folder with a data list (of boxes, or of volumes with label maps),
            whose ``test`` part, else ``validation``, is taken with its big boxes, one item a volume and object.
        axis: that slices are perpendicular to, see :class:`SliceOptions`.
        slice: index of the slice that the prompt is in, or first and last of several; for ``path`` of one file.
        box: prompt ``[x1, y1, x2, y2]``.
        points: prompt ``[[x, y], ...]``.
        point_labels: of ``points``, 1 foreground and 0 background; all foreground without.
        prompts: JSON file, file name -> ``[{"slice": 12, "box": [...]}, {"slice": [13, 20], "points": [...]}, ...]``,
            instead.
        labels: objects of a data list, see :func:`label_groups`; None for all.
        slices: of a data list of volumes with label maps, see :class:`SliceOptions`.

    Returns:
        items with ``image``, ``image_id``, ``axis`` and ``prompts``, a list of ``{"slice": int}`` with
        ``prompt_boxes``, ``prompt_points`` and ``prompt_labels`` as far as they are given.

    Raises:
        ValueError: when there is no volume, no prompt, or a prompt has another form.
    """
    SliceOptions(axis=str(axis))
    path = Path(path)
    given = {"slice": slice, "box": box, "points": points, "point_labels": point_labels}
    is_given = any(value is not None for value in given.values())
    if is_given and prompts is not None:
        raise ValueError("prompts must not be given together with slice, box or points.")
    if prompts is not None:
        return _from_file(path, Path(prompts), axis)
    if is_given:
        if not path.is_file():
            raise ValueError(f"slice, box and points are for one volume, but {path} is no file; give prompts.")
        return [_item(path, axis, _expanded(given, "the arguments"))]
    if path.is_dir() and (path / DATALIST_NAME).is_file():
        return _from_datalist(path, axis, labels, slices)
    raise ValueError(f"{path} has no data list with boxes: give slice with box or points, or prompts.")


def _from_file(path: Path, file: Path, axis: str | int) -> list[dict[str, Any]]:
    volumes = {volume.name: volume for volume in ([path] if path.is_file() else find_volumes(path))}
    named = read_prompts(file)
    unknown = sorted(set(named) - set(volumes))
    if unknown:
        raise ValueError(f"prompts {file} names {len(unknown)} volumes that are not in {path}, such as {unknown[0]}.")
    items = []
    for name, entries in named.items():
        if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
            raise ValueError(f'prompts {file}, {name}: must be a list [{{"slice": 12, "box": [x1, y1, x2, y2]}}, ...].')
        of_volume = [prompt for entry in entries for prompt in _expanded(entry, f"prompts {file}, {name}")]
        items.append(_item(volumes[name], axis, of_volume))
    if not items:
        raise ValueError(f"prompts {file} names no volume.")
    return items


def _expanded(entry: dict[str, Any], source: str) -> list[dict[str, Any]]:
    """One prompt for every slice that an entry names."""
    place: Any = entry.get("slice")
    first, last = place if isinstance(place, list | tuple) and len(place) == 2 else (place, place)
    if not all(isinstance(index, int) and not isinstance(index, bool) for index in (first, last)) or first > last:
        raise ValueError(f"{source}: slice must be an index, or first and last of several, got {place}.")
    prompt = prompt_entries(entry, f"{source}, slice {place}")
    if not prompt:
        raise ValueError(f"{source}, slice {place}: a prompt must have a box or points.")
    return [{"slice": index, **prompt} for index in range(first, last + 1)]


def _from_datalist(
    path: Path, axis: str | int, labels: str | int | Sequence[int | str] | None, slices: str | int
) -> list[dict[str, Any]]:
    parts = load_boxed_slices(path, axis, slices, labels)
    items: dict[tuple, dict[str, Any]] = {}
    for one in parts["test"] or parts["validation"]:
        group = "+".join(map(str, one["label_values"]))
        name = f"{case_name(one['image'])}_label{group}"
        item = items.setdefault((one["image"], one["axis"], group), _item(Path(one["image"]), one["axis"], [], name))
        item["prompts"].append({"slice": one["slice"], "prompt_boxes": [float(value) for value in one["big_box"]]})
    return list(items.values())


def _item(file: Path, axis: str | int, prompts: list[dict[str, Any]], name: str | None = None) -> dict[str, Any]:
    return {"image": str(file), "image_id": name or case_name(file), "axis": axis, "prompts": prompts}
