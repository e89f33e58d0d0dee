"""Finds the cases of a Decathlon-style folder: what its dataset.json lists, and what else lies in its image folders."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from monai_proto.data.datalist import DATALIST_NAME
from monai_proto.data.nifti import case_name, is_apple_double, is_nifti_name

__all__ = ["DecathlonCase", "DecathlonFolder", "find_decathlon_root", "scan_decathlon_folder"]

# images, their labels, and the list that they belong to by their place
_FOLDERS = (("imagesTr", "labelsTr", None), ("images", "labels", None), ("imagesTs", "labelsTs", "test"))
_LISTS = ("training", "validation", "test", "unlabelled")


@dataclass
class DecathlonCase:
    """
    A case on its way from the folder into a data list; paths are relative to the folder, with forward slashes.

    Args:
        case: file name without folder and ``.nii.gz``.
        image: its image; None when there is none.
        label: its label map; None when there is none.
        listed_in: list of dataset.json that holds it (training, validation, test, unlabelled), or None; ``test`` as
            well for one of ``imagesTs`` that is not listed.
        subject: the patient, as dataset.json gives it, else None until somebody knows.
        checksums: SHA-256 of the files by key (image, label), once they were read.
        problems: why the case is left out; empty for one that can be used.
        notes: what its user should know.
    """

    case: str
    image: str | None = None
    label: str | None = None
    listed_in: str | None = None
    subject: str | None = None
    checksums: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def files(self) -> list[str]:
        """The files that the case has."""
        return [file for file in (self.image, self.label) if file]


@dataclass
class DecathlonFolder:
    """
    What a folder holds.

    Args:
        root: the folder.
        properties: content of its dataset.json without the lists; empty when it has none.
        cases: listed cases in the order of the lists, then the others by name.
        remarks: what was ignored, and how much of it.
    """

    root: Path
    properties: dict[str, Any]
    cases: list[DecathlonCase]
    remarks: list[str]


def find_decathlon_root(folder: Path) -> Path:
    """
    The folder itself, or the only one in it, when it has a dataset.json or an ``imagesTr`` or ``images`` folder.

    Raises:
        ValueError: when neither has one.
    """
    if not folder.is_dir():
        raise ValueError(f"Source folder {folder} does not exist.")
    inner = [path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")]
    for root in (folder, *(inner if len(inner) == 1 else ())):
        if any((root / name).exists() for name in (DATALIST_NAME, "imagesTr", "images")):
            return root
    raise ValueError(
        f"Source folder {folder} holds neither {DATALIST_NAME} nor a folder imagesTr or images "
        "(with their labels in labelsTr or labels)."
    )


def scan_decathlon_folder(root: Path) -> DecathlonFolder:
    """
    Pair images with labels, by the lists of dataset.json where there is one, else by file name.

    Raises:
        ValueError: when dataset.json cannot be read.
    """
    content = _read_json(root / DATALIST_NAME)
    found = _FolderFiles(root)
    cases = _listed_cases(root, content, found)
    listed = {file for case in cases for file in case.files}
    for image_folder, label_folder, part in _FOLDERS:
        labels = [file for file in found.nifti(label_folder) if file not in listed]
        label_of = {case_name(file): file for file in reversed(labels)}
        for case in cases:
            if case.image and case.image.startswith(f"{image_folder}/") and not case.label and case.case in label_of:
                _add_unlisted_label(case, label_of[case.case])
                labels.remove(label_of.pop(case.case))
        images = [file for file in found.nifti(image_folder) if file not in listed]
        cases += _unlisted_cases(images, labels, label_of, part)
    properties = {key: value for key, value in content.items() if key not in _LISTS}
    return DecathlonFolder(root, properties, cases, found.remarks())


class _FolderFiles:
    """NIfTI files of a folder's sub-folders, with a count of what is none."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.apple_double: set[str] = set()
        self.other: set[str] = set()

    def nifti(self, folder: str) -> Iterator[str]:
        """Relative paths of the NIfTI files right in ``folder``, sorted; none when it does not exist."""
        if not (self.root / folder).is_dir():
            return
        for path in sorted((self.root / folder).iterdir()):
            file = f"{folder}/{path.name}"
            if is_apple_double(path):
                self.apple_double.add(file)
            elif not path.is_file() or not is_nifti_name(path):
                self.other.add(file)
            else:
                yield file

    def remarks(self) -> list[str]:
        """What was ignored so far."""
        remarks = []
        if self.apple_double:
            remarks.append(f"ignored side files of macOS (AppleDouble, ._*): {len(self.apple_double)}")
        if self.other:
            remarks.append(f"ignored, as no NIfTI files: {', '.join(sorted(self.other))}")
        return remarks


def _read_json(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{file} is not valid JSON: {error}.") from error
    if not isinstance(content, dict):
        raise ValueError(f"{file} must hold a JSON object, got a {type(content).__name__}.")
    return content


def _listed_cases(root: Path, content: dict[str, Any], found: _FolderFiles) -> list[DecathlonCase]:
    cases: list[DecathlonCase] = []
    list_of: dict[str, str] = {}
    for part in _LISTS:
        for index, item in enumerate(content.get(part) or []):
            item = {"image": item} if isinstance(item, str) else item
            if not isinstance(item, dict) or not isinstance(item.get("image"), str):
                problem = f"entry of {DATALIST_NAME} names no single image file"
                cases.append(DecathlonCase(f"{part}[{index}]", listed_in=part, problems=[problem]))
            elif is_apple_double(item["image"]):
                found.apple_double.add(posixpath.normpath(item["image"]))
            else:
                case = _listed_case(root, item, part)
                for file in case.files:
                    if file in list_of:
                        case.problems.append(f"{file} is listed twice in {DATALIST_NAME}: {list_of[file]} and {part}")
                    list_of[file] = part
                cases.append(case)
    return cases


def _listed_case(root: Path, item: dict[str, Any], part: str) -> DecathlonCase:
    case = DecathlonCase(case_name(item["image"]), listed_in=part, subject=str(item.get("patient_id") or "") or None)
    for key in ("image", "label"):
        if not isinstance(item.get(key), str):
            continue
        file = posixpath.normpath(item[key])
        if posixpath.isabs(file) or file.startswith(".."):
            case.problems.append(f"{key} {item[key]} lies outside of the folder")
        elif (root / file).is_file():
            setattr(case, key, file)
        elif key == "image":
            case.problems.append(f"image {file} is listed in {DATALIST_NAME} but does not exist")
        else:
            case.notes.append(f"label {file} is listed in {DATALIST_NAME} but does not exist: used as unlabelled")
    if part in ("training", "validation") and case.image and "label" not in item:
        case.notes.append(f"listed in {DATALIST_NAME} without label: used as unlabelled")
    return case


def _unlisted_cases(
    images: list[str], labels: list[str], label_of: dict[str, str], part: str | None
) -> Iterator[DecathlonCase]:
    image_of = {case_name(image): image for image in reversed(images)}
    for image in images:
        name = case_name(image)
        if image_of[name] != image:
            problem = f"a second image of the same name, beside {image_of[name]}"
            yield DecathlonCase(name, image, problems=[problem])
            continue
        label = label_of.get(name)
        # images of a test folder have no labels by design
        notes = [] if label or part == "test" else ["image without label: used as unlabelled"]
        yield DecathlonCase(name, image, label, listed_in=part, notes=notes)
    for label in labels:
        name = case_name(label)
        if name not in image_of:
            yield DecathlonCase(name, None, label, problems=["label without image"])
        elif label_of[name] != label:
            problem = f"a second label of the same name, beside {label_of[name]}"
            yield DecathlonCase(name, None, label, problems=[problem])


def _add_unlisted_label(case: DecathlonCase, label: str) -> None:
    """A label that lies in its place, though dataset.json does not list it for the case."""
    if case.listed_in in ("training", "validation"):
        case.label = label
        case.notes = [f"label {label} is not what {DATALIST_NAME} lists, found by its name"]
    else:
        case.notes.append(f"label {label} is not used: {DATALIST_NAME} lists the image without one")
