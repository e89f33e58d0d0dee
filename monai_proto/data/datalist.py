"""Decathlon-style data lists: writes them, reads them, and divides them for semi-supervised training."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, TypedDict

from monai.data import check_missing_files

from monai_proto.data.atomic_write import write_text_atomically
from monai_proto.data.json_file import read_json
from monai_proto.data.nifti import case_name, is_apple_double, is_nifti_name
from monai_proto.data.subject_split import (
    draw_whole_subjects,
    read_subjects_csv,
    require_disjoint_subjects,
    split_subjects,
)

__all__ = [
    "DATALIST_NAME",
    "SemiSupervisedDatalist",
    "common_image_folder",
    "datalist_file",
    "list_images",
    "load_semi_supervised_datalist",
    "read_datalist",
    "write_datalist",
]

DATALIST_NAME = "dataset.json"
# keys that every item of a part must have
_PARTS = {
    "training": ("image", "label"),
    "unlabelled": ("image",),
    "validation": ("image", "label"),
    "test": ("image",),
}
_PATHS = {"image": {"type": "string"}, "label": {"type": "string"}}
# an image without a label may stand there as its path alone
_SCHEMA = {
    "type": "object",
    "required": ["training"],
    "properties": {
        "training": {
            "type": "array",
            "items": {"type": "object", "required": ["image", "label"], "properties": _PATHS},
        },
        "validation": {
            "type": ["array", "null"],
            "items": {"type": "object", "required": ["image", "label"], "properties": _PATHS},
        },
        **{
            part: {
                "type": ["array", "null"],
                "items": {"type": ["object", "string"], "required": ["image"], "properties": _PATHS},
            }
            for part in ("unlabelled", "test")
        },
    },
}


class SemiSupervisedDatalist(TypedDict):
    """
    Items with absolute paths: ``labelled`` and ``validation`` have the keys ``image``, ``label`` and ``patient_id``,
    ``unlabelled`` has ``image`` and ``patient_id``.
    """

    labelled: list[dict[str, str]]
    unlabelled: list[dict[str, str]]
    validation: list[dict[str, str]]


def write_datalist(
    folder: str | os.PathLike,
    properties: Mapping[str, Any],
    training: Sequence[Mapping[str, Any]],
    unlabelled: Sequence[Mapping[str, Any]] = (),
    validation: Sequence[Mapping[str, Any]] = (),
    test: Sequence[Mapping[str, Any]] = (),
    num_labelled: int | None = None,
) -> Path:
    """
    Write ``dataset.json``; the file appears whole or not at all.

    Items are ``{"image", "label", "patient_id", ...}`` with paths relative to ``folder``; an item may carry
    ``"sha256": {"image": ..., "label": ...}``. A part other than ``training`` is written only when it has items.

    Args:
        folder: existing folder of the data set.
        properties: ``name``, ``description``, ``modality``, ``labels``, ``licence``, ``reference``, ...
        training: items with a label, the labelled ones of a semi-supervised run first.
        unlabelled: items with an image only.
        validation: items with a label.
        test: items held out of training.
        num_labelled: how many items of ``training`` are meant to be used with their label; None for all.

    Returns:
        the file written.

    Raises:
        ValueError: when an item lacks a path or has an absolute one, a patient is in more than one of training
            (unlabelled included), validation and test, or ``num_labelled`` is out of range.
    """
    file = Path(folder) / DATALIST_NAME
    parts = {"training": training, "unlabelled": unlabelled, "validation": validation, "test": test}
    for part, items in parts.items():
        for item in items:
            _require_relative_paths(item, part, file)
    num_labelled = len(training) if num_labelled is None else num_labelled
    if not 0 <= num_labelled <= len(training):
        raise ValueError(f"num_labelled must be in 0 .. {len(training)}, the items of training, got {num_labelled}.")
    _require_patients_on_one_side(parts, str(file))
    content = {
        **{key: value for key, value in properties.items() if key not in _PARTS},
        "numTraining": len(training),
        "numLabelled": num_labelled,
        "numTest": len(test),
        **{part: list(items) for part, items in parts.items() if part == "training" or items},
    }
    write_text_atomically(file, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    return file


def read_datalist(dataset_dir: str | os.PathLike) -> dict[str, Any]:
    """
    Read a data list.

    A patient is the item's own ``patient_id``, else the one that ``subjects.csv`` (columns case, subject) beside the
    JSON file gives, else the case itself: the image's file name without ``.nii.gz``.

    Args:
        dataset_dir: folder with a ``dataset.json``, or the JSON file itself.

    Returns:
        the properties as they are in the file, and ``training``, ``unlabelled``, ``validation`` and ``test`` (empty
        where the file has none) as items with absolute ``image`` and ``label`` paths and a ``patient_id``.

    Raises:
        ValueError: when the file is missing or no data list, an item lacks a path, or ``subjects.csv`` lacks a case.
    """
    file = datalist_file(dataset_dir)
    content = read_json(file, "Data list", _SCHEMA, if_missing="; monai-proto prepare decathlon writes one")
    subjects_file = file.parent / "subjects.csv"
    subjects = read_subjects_csv(subjects_file) if subjects_file.is_file() else {}
    for part in _PARTS:
        items = [_resolved_item(item, file, subjects) for item in content.get(part) or []]
        content[part] = [item for item in items if not is_apple_double(item["image"])]
    return content


def load_semi_supervised_datalist(
    dataset_dir: str | os.PathLike,
    num_labelled: int | None,
    validation_fraction: float = 0.2,
    seed: int = 0,
    labelled_draw: int | None = None,
) -> SemiSupervisedDatalist:
    """
    Divide a data list into labelled, unlabelled and validation cases.

    A list with a ``validation`` part keeps it. From one without (a raw Decathlon folder) whole patients of ``training``
    are put aside. Unlabelled are the rest of ``training``, the ``unlabelled`` part, and images of ``test`` that have no
    label; cases of ``test`` that have one are held out, and so are unlabelled images of a patient put aside here.

    Args:
        dataset_dir: folder with a ``dataset.json``, or the JSON file itself; see :func:`read_datalist` for patients.
        num_labelled: number of labelled cases; None or -1 for all.
        validation_fraction: share of patients to put aside where the list has no validation part; 0 for none.
        seed: which patients are put aside.
        labelled_draw: None takes the first ``num_labelled`` of the list's order, as published comparisons do; an
            integer is the seed of a random draw of whole patients.

    Raises:
        ValueError: when the data list is missing, has no training cases, or lists a file that does not exist; when
            ``num_labelled`` is below 1 or above the number of cases; when a patient is on two sides of the split.
    """
    content = read_datalist(dataset_dir)
    source = f"Data list of {os.fspath(dataset_dir)}"
    training, validation = content["training"], content["validation"]
    held_out = [item for item in content["test"] if "label" in item]
    unlabelled = content["unlabelled"] + [item for item in content["test"] if "label" not in item]
    if not training:
        raise ValueError(f"{source} has an empty list training: there is no labelled case.")
    if not validation and validation_fraction:
        put_aside = split_subjects(_patients(training), {"validation": validation_fraction}, seed)
        validation = [item for item in training if item["patient_id"] in put_aside]
        training = [item for item in training if item["patient_id"] not in put_aside]
        unlabelled = [item for item in unlabelled if item["patient_id"] not in put_aside]
    parts = {"training": training, "unlabelled": unlabelled, "validation": validation, "test": held_out}
    _require_patients_on_one_side(parts, source)
    for part, items in parts.items():
        missing = check_missing_files(items, keys=("image", "label"), allow_missing_keys=True)
        if missing:
            raise ValueError(f"{source} names {len(missing)} file(s) under {part} that do not exist: {missing[0]} ...")
    labelled = _labelled_indices(training, num_labelled, labelled_draw)
    withheld = [training[index] for index in sorted(set(range(len(training))) - set(labelled))]
    return {
        "labelled": [_only(training[index], "image", "label", "patient_id") for index in labelled],
        "unlabelled": [_only(item, "image", "patient_id") for item in withheld + unlabelled],
        "validation": [_only(item, "image", "label", "patient_id") for item in validation],
    }


def datalist_file(path: str | os.PathLike) -> Path:
    """The data list of a folder, or the JSON file itself, as an absolute path; whether it exists is not looked at."""
    file = Path(os.path.abspath(path))
    return file / DATALIST_NAME if file.is_dir() else file


def list_images(dataset_dir: str | os.PathLike) -> list[dict[str, str]]:
    """
    The images of a folder: of its data list the ``test`` part, else the ``validation`` part; without a data list every
    NIfTI file in it, or in its ``imagesTs``.

    Args:
        dataset_dir: folder with a ``dataset.json`` or with ``*.nii.gz`` or ``*.nii`` files.

    Returns:
        ``{"image": path}`` for each, sorted by name where there is no data list.

    Raises:
        ValueError: when the folder does not exist or holds no image.
    """
    folder = Path(dataset_dir)
    if not folder.is_dir():
        raise ValueError(f"dataset_dir {folder} is not a folder.")
    if (folder / DATALIST_NAME).is_file():
        items = read_datalist(folder).get("test") or load_semi_supervised_datalist(folder, None)["validation"]
        return [{"image": str(item["image"])} for item in items]
    for place in (folder, folder / "imagesTs"):
        files = [f for f in sorted(place.glob("*.nii*")) if f.name.endswith((".nii", ".nii.gz")) and f.name[0] != "."]
        if files:
            return [{"image": str(file)} for file in files]
    raise ValueError(f"dataset_dir {folder} holds neither {DATALIST_NAME} nor NIfTI images.")


def common_image_folder(items: Sequence[Mapping[str, Any]]) -> str:
    """
    The deepest folder that holds all images: results that are written below an output folder as the images lie below
    this one share no name, and lie side by side where the images do.

    Args:
        items: with the path ``image``; the same image may come several times.

    Returns:
        absolute path; empty where there is no item.

    Raises:
        ValueError: when the names of two images differ in nothing but their suffix.
    """
    files = sorted({os.path.abspath(item["image"]) for item in items})
    stems: dict[str, str] = {}
    for file in files:
        stem = case_name(file) if is_nifti_name(file) else Path(file).stem
        other = stems.setdefault(os.path.join(os.path.dirname(file), stem), file)
        if other != file:
            raise ValueError(f"{other} and {file} would get results of one name: rename one of them.")
    return os.path.commonpath([os.path.dirname(file) for file in files]) if files else ""


def _labelled_indices(training: list[dict], num_labelled: int | None, labelled_draw: int | None) -> list[int]:
    if num_labelled is None or num_labelled == -1:
        return list(range(len(training)))
    if not 1 <= num_labelled <= len(training):
        cases = f"1 .. {len(training)}, the cases there are for training"
        raise ValueError(f"num_labelled must be in {cases}, or None or -1 for all of them, got {num_labelled}.")
    if labelled_draw is None:
        return list(range(num_labelled))
    return draw_whole_subjects(_patients(training), num_labelled, labelled_draw)


def _resolved_item(listed: dict[str, Any] | str, file: Path, subjects: Mapping[str, str]) -> dict[str, Any]:
    """
    The item with absolute paths and a patient.

    MONAI's ``load_decathlon_datalist`` resolves every string of an item that names something in the folder, and would
    turn the patient ``p1`` into a path where a folder ``p1`` exists.
    """
    item: dict[str, Any] = {"image": listed} if isinstance(listed, str) else listed
    paths: dict[str, Any] = {
        key: os.path.normpath(file.parent / item[key]) for key in ("image", "label") if key in item
    }
    case = case_name(item["image"])
    if not item.get("patient_id") and subjects and case not in subjects and not is_apple_double(item["image"]):
        # taken as a patient of its own it might put one patient on two sides of the split
        raise ValueError(f"subjects.csv beside {file} has no row for case {case}.")
    return {**item, **paths, "patient_id": str(item.get("patient_id") or subjects.get(case, case))}


def _patients(items: Iterable[Mapping[str, Any]]) -> list[str]:
    return [item["patient_id"] for item in items]


def _only(item: Mapping[str, Any], *keys: str) -> dict[str, str]:
    return {key: item[key] for key in keys}


def _require_relative_paths(item: Mapping[str, Any], part: str, file: Path) -> None:
    for key in ("image", "label"):
        path = item.get(key)
        if path is None and key not in _PARTS[part]:
            continue
        if not isinstance(path, str) or PurePosixPath(path).is_absolute():
            raise ValueError(f"{file}: {key} of an item of {part} must be a path relative to its folder, got {path!r}.")


def _require_patients_on_one_side(parts: Mapping[str, Iterable[Mapping[str, Any]]], source: str) -> None:
    sides: dict[str, list[tuple[str, str]]] = {"training": [], "validation": [], "test": []}
    for part, items in parts.items():
        side = sides["training" if part == "unlabelled" else part]
        for item in items:
            case = case_name(item["image"])
            side.append((case, str(item.get("patient_id") or case)))
    require_disjoint_subjects(sides, source)
