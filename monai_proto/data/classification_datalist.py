"""Data lists of classification data sets: written, read, with their classes, and how often to draw an item."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from monai.data import check_missing_files

from monai_proto.data.atomic_write import write_text_atomically
from monai_proto.data.datalist import DATALIST_NAME, datalist_file
from monai_proto.data.json_file import read_json
from monai_proto.data.picture_files import PictureFolder

__all__ = [
    "CLASSIFICATION_TASK",
    "class_counts",
    "class_names",
    "list_photographs",
    "load_classification_datalist",
    "sampling_weights",
    "write_classification_datalist",
]

CLASSIFICATION_TASK = "classification"
_PARTS = ("training", "validation", "test")
_PATH_KEYS = ("image", "mask")
# items are looked at as they are when a list is written, in the order of its parts
_SCHEMA = {
    "type": "object",
    "required": ["training"],
    "properties": {"task": {"const": CLASSIFICATION_TASK}, **{part: {"type": "array"} for part in _PARTS}},
}


def write_classification_datalist(
    folder: str | os.PathLike,
    properties: Mapping[str, Any],
    training: Sequence[Mapping[str, Any]],
    validation: Sequence[Mapping[str, Any]] = (),
    test: Sequence[Mapping[str, Any]] = (),
) -> Path:
    """
    Write ``dataset.json``; the file appears whole or not at all.

    Items are ``{"image", "label", "image_id", "lesion_id"}`` and may have a ``"mask"`` and more; paths are absolute or
    relative to ``folder``, ``label`` is the index of the class. A part other than ``training`` is written only when it
    has items.

    Args:
        folder: existing folder of the data set.
        properties: ``name``, ``description``, ``labels`` (``{"0": "akiec", ...}``), ``licence``, ...
        training: items to learn from.
        validation: items to choose by.
        test: items held out.

    Returns:
        the file written.

    Raises:
        ValueError: when ``labels`` do not number the classes from 0, an item lacks a path or has a label outside of
            the classes, or a lesion is in two parts.
    """
    file = Path(folder) / DATALIST_NAME
    parts = dict(zip(_PARTS, (training, validation, test), strict=True))
    _require_valid_items(parts, len(_names(properties, file)), file)
    content = {
        **{key: value for key, value in properties.items() if key not in _PARTS},
        "task": CLASSIFICATION_TASK,
        **{part: list(items) for part, items in parts.items() if part == "training" or items},
    }
    write_text_atomically(file, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    return file


def load_classification_datalist(
    path: str | os.PathLike, required: Iterable[str] = ("training",), check_files: bool = True
) -> dict[str, list[dict[str, Any]]]:
    """
    Read the items of a data list.

    Args:
        path: folder with a ``dataset.json``, or the JSON file itself.
        required: parts that must have items, of training, validation and test.
        check_files: whether every file must exist.

    Returns:
        ``training``, ``validation`` and ``test``, empty where the file has none: items as they are in the file, with
        absolute ``image`` and ``mask`` paths, and with ``image_id`` (else the image's file name without its ending)
        and ``lesion_id`` (else the ``image_id``).

    Raises:
        ValueError: when the file is missing or no such data list, a required part has no item, an item lacks a path or
            has a label outside of the classes, a lesion is in two parts, or a file does not exist.
    """
    file, content = _read(path)
    parts = {part: content.get(part, []) for part in _PARTS}
    for part in required:
        if part not in _PARTS:
            raise ValueError(f"required must name parts among {', '.join(_PARTS)}, got {part}.")
        if not parts[part]:
            raise ValueError(f"Data list {file} has no items under {part}.")
    _require_valid_items(parts, len(_names(content, file)), file)
    parts = {part: [_resolved_item(item, file.parent) for item in items] for part, items in parts.items()}
    for part, items in parts.items() if check_files else ():
        missing = check_missing_files(items, keys=_PATH_KEYS, allow_missing_keys=True)
        if missing:
            raise ValueError(
                f"Data list {file} names {len(missing)} file(s) under {part} that do not exist: {missing[0]} ..."
            )
    return parts


def class_names(path: str | os.PathLike) -> list[str]:
    """
    The names of a data list's classes, in the order of their labels 0, 1, ...

    Args:
        path: folder with a ``dataset.json``, or the JSON file itself.

    Raises:
        ValueError: when the file is missing or no such data list.
    """
    file, content = _read(path)
    return _names(content, file)


def class_counts(items: Iterable[Mapping[str, Any]], num_classes: int) -> list[int]:
    """
    Number of items of each class.

    Args:
        items: items with a ``label``.
        num_classes: number of classes.

    Raises:
        ValueError: when a label lies outside of the classes.
    """
    counts = [0] * num_classes
    for item in items:
        if not _is_label(item.get("label"), num_classes):
            raise ValueError(f"label of an item must be an integer in 0 .. {num_classes - 1}, got {item}.")
        counts[item["label"]] += 1
    return counts


def sampling_weights(items: Sequence[Mapping[str, Any]], num_classes: int, power: float = 0.5) -> list[float]:
    """
    Weights ``n_c ** -power`` of the items, for PyTorch's ``WeightedRandomSampler`` and MONAI's distributed one.

    Args:
        items: of a data list, with ``label``.
        num_classes: number C of classes.
        power: 0 draws as the data set is, 1 draws every class equally often, 0.5 lies between.

    Raises:
        ValueError: when power is not in 0 .. 1.
    """
    if not 0 <= power <= 1:
        raise ValueError(f"power must be in 0 .. 1, got {power}.")
    counts = class_counts(items, num_classes)
    return [counts[item["label"]] ** -power for item in items]


def list_photographs(path: str | os.PathLike) -> list[dict[str, str]]:
    """
    One image file, or the images of a folder: of its data list the ``test`` part, else the ``validation`` part; without
    a data list every picture in it and in the folders below.

    Args:
        path: an image, or a folder.

    Returns:
        ``{"image": path, "image_id": name}`` for each; names are those of the data list, or the path below the folder
        without suffix.

    Raises:
        ValueError: when there is no such file or folder, or it holds no picture.
    """
    path = Path(path)
    if path.is_file() and path.name != DATALIST_NAME:
        return [{"image": str(path), "image_id": path.stem}]
    if path.is_dir() and not (path / DATALIST_NAME).is_file():
        folder = PictureFolder(path)
        return [{"image": str(file), "image_id": folder.case_of(file)} for file in folder.files]
    if not path.exists():
        raise ValueError(f"{path} is neither an image nor a folder.")
    parts = load_classification_datalist(path, required=())
    items = parts["test"] or parts["validation"]
    if not items:
        raise ValueError(f"the data list of {path} has neither a test nor a validation part.")
    return [{"image": str(item["image"]), "image_id": str(item["image_id"])} for item in items]


def _read(path: str | os.PathLike) -> tuple[Path, dict[str, Any]]:
    file = datalist_file(path)
    return file, read_json(file, "Data list", _SCHEMA, if_missing="; monai-proto prepare isic writes one")


def _names(properties: Mapping[str, Any], file: Path) -> list[str]:
    labels = properties.get("labels")
    expected = [str(index) for index in range(len(labels))] if isinstance(labels, Mapping) else None
    if not labels or expected is None or sorted(map(str, labels)) != sorted(expected):
        raise ValueError(f"{file}: labels must number the classes from 0, as in {{'0': 'akiec'}}, got {labels}.")
    names = {str(index): name for index, name in labels.items()}
    return [names[index] for index in expected]


def _is_label(label: Any, num_classes: int) -> bool:
    return isinstance(label, int) and not isinstance(label, bool) and 0 <= label < num_classes


def _image_id(item: Mapping[str, Any]) -> str:
    return str(item.get("image_id") or Path(item["image"]).stem)


def _lesion_id(item: Mapping[str, Any]) -> str:
    return str(item.get("lesion_id") or _image_id(item))


def _require_valid_items(parts: Mapping[str, Sequence[Any]], num_classes: int, file: Path) -> None:
    for part, items in parts.items():
        for item in items:
            if not isinstance(item, Mapping) or not isinstance(item.get("image"), str):
                raise ValueError(f"{file}: an item of {part} must have the path image, got {item}.")
            if not isinstance(item.get("mask", ""), str):
                raise ValueError(f"{file}: mask of an item of {part} must be a path, got {item}.")
            if not _is_label(item.get("label"), num_classes):
                raise ValueError(
                    f"{file}: label of {item['image']} in {part} must be an integer in 0 .. {num_classes - 1}, "
                    f"got {item.get('label')!r}."
                )
    part_of: dict[str, str] = {}
    for part, items in parts.items():
        for item in items:
            other = part_of.setdefault(_lesion_id(item), part)
            if other != part:
                raise ValueError(
                    f"{file}: lesion {_lesion_id(item)} is in two parts: {other} and {part} ({item['image']})."
                )


def _resolved_item(item: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    # only paths: an image_id may have the name of a file in the folder
    paths = {key: os.path.normpath(folder / item[key]) for key in _PATH_KEYS if key in item}
    return {**item, **paths, "image_id": _image_id(item), "lesion_id": _lesion_id(item)}
