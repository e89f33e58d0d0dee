"""Where a Decathlon data set comes from (folder, tar file, mirror, address), and which cases its folder holds."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import pooch
from monai.apps import DecathlonDataset
from rich.console import Console

from monai_proto.data.atomic_write import require_new_folder
from monai_proto.data.datalist import DATALIST_NAME
from monai_proto.data.json_file import read_json
from monai_proto.data.nifti import case_name, is_apple_double, is_nifti_name
from monai_proto.preparation.archives import fetch_archive, unpack_tar
from monai_proto.preparation.volumes.case import VolumeCase, VolumeFolder

__all__ = ["find_decathlon_root", "open_decathlon_source", "scan_decathlon_folder"]

# images, their labels, and the list that they belong to by their place
_FOLDERS = (("imagesTr", "labelsTr", None), ("images", "labels", None), ("imagesTs", "labelsTs", "test"))
_LISTS = ("training", "validation", "test", "unlabelled")
# an entry that names no image is a case of the report, not an error of the whole
_SCHEMA = {"type": "object", "properties": {part: {"type": ["array", "null"]} for part in _LISTS}}


@contextmanager
def open_decathlon_source(
    output: str | os.PathLike,
    source: Path | None = None,
    task: str | None = None,
    url: str | None = None,
    known_hash: str | None = None,
    download_dir: str | os.PathLike | None = None,
    console: Console | None = None,
) -> Iterator[tuple[Path, Literal["copy", "move"]]]:
    """
    The folder of a data set for the time of a ``with`` block; an archive is unpacked beside ``output`` until it ends.

    Args:
        output: where the prepared data set is going to be, a new folder unless the source is a folder.
        source: folder or tar file; with ``task`` the folder of a local mirror.
        task: a task that MONAI's ``DecathlonDataset`` knows; fetched when there is no mirror.
        url: address of a tar file.
        known_hash: ``"sha256:..."`` or ``"md5:..."`` of the tar file; a task's own is known.
        download_dir: where a downloaded archive is kept; None for the folder that ``output`` is in.
        console: where progress is shown; None for nowhere.

    Yields:
        the folder with the cases, and how its files may be brought to ``output``.

    Raises:
        ValueError: when the arguments name no source or more than one, or the source does not exist, has another hash,
            cannot be unpacked safely, or holds no data set.
        requests.RequestException: when the archive cannot be fetched; the next call goes on where this one stopped.
    """
    if task:
        source, url, known_hash = _locate_task(task, source, url, known_hash)
    if (source is None) == (url is None):
        raise ValueError("Give one of --source, --url and --task (--task may have a local mirror as its --source).")
    if source and source.is_dir():
        if known_hash:
            raise ValueError(f"--sha256 and --md5 are for a tar file, but --source {source} is a folder.")
        yield find_decathlon_root(source), "copy"
        return
    require_new_folder(output)
    parent = Path(output).absolute().parent
    parent.mkdir(parents=True, exist_ok=True)
    folder = download_dir or parent
    archive = _verified(source, known_hash) if source else _fetched(str(url), known_hash, folder, console)
    with TemporaryDirectory(dir=parent, prefix=f".{Path(output).name}.") as unpacked:
        if console:
            console.print(f"Unpacking {archive.name} ...")
        unpack_tar(archive, unpacked)
        yield find_decathlon_root(Path(unpacked)), "move"


def _locate_task(
    task: str, mirror: Path | None, url: str | None, known_hash: str | None
) -> tuple[Path | None, str | None, str | None]:
    """Source, address and hash of a task: its folder or tar file in a mirror, else its public address."""
    if url:
        raise ValueError("--task has an address of its own: leave out --url.")
    if task not in DecathlonDataset.resource:
        raise ValueError(f"--task must be one of {', '.join(DecathlonDataset.resource)}, got {task}.")
    archive_hash = known_hash or f"md5:{DecathlonDataset.md5[task]}"
    if mirror is None:
        return None, DecathlonDataset.resource[task], archive_hash
    if (mirror / task).is_dir():
        return mirror / task, None, known_hash
    if (mirror / f"{task}.tar").is_file():
        return mirror / f"{task}.tar", None, archive_hash
    raise ValueError(f"--source {mirror} holds neither {task} nor {task}.tar.")


def _fetched(url: str, known_hash: str | None, folder: str | os.PathLike, console: Console | None) -> Path:
    if not known_hash:
        raise ValueError("--url needs --sha256 or --md5: a download is always verified.")
    return fetch_archive(url, known_hash, folder, console)


def _verified(archive: Path, known_hash: str | None) -> Path:
    if not archive.is_file():
        raise ValueError(f"--source {archive} does not exist.")
    if known_hash:
        algorithm, expected = known_hash.split(":")
        found = pooch.file_hash(archive, algorithm)
        if found != expected.lower():
            raise ValueError(f"{algorithm} of --source {archive} is {found}, expected {expected}: it is damaged.")
    return archive


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


def scan_decathlon_folder(root: Path) -> VolumeFolder:
    """
    Pair images with labels, by the lists of dataset.json where there is one, else by file name.

    Raises:
        ValueError: when dataset.json cannot be read.
    """
    file = root / DATALIST_NAME
    content = read_json(file, schema=_SCHEMA) if file.is_file() else {}
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
    return VolumeFolder(root, properties, cases, found.remarks())


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


def _listed_cases(root: Path, content: dict[str, Any], found: _FolderFiles) -> list[VolumeCase]:
    cases: list[VolumeCase] = []
    list_of: dict[str, str] = {}
    for part in _LISTS:
        for index, item in enumerate(content.get(part) or []):
            item = {"image": item} if isinstance(item, str) else item
            if not isinstance(item, dict) or not isinstance(item.get("image"), str):
                problem = f"entry of {DATALIST_NAME} names no single image file"
                cases.append(VolumeCase(f"{part}[{index}]", listed_in=part, problems=[problem]))
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


def _listed_case(root: Path, item: dict[str, Any], part: str) -> VolumeCase:
    case = VolumeCase(case_name(item["image"]), listed_in=part, subject=str(item.get("patient_id") or "") or None)
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
) -> Iterator[VolumeCase]:
    image_of = {case_name(image): image for image in reversed(images)}
    for image in images:
        name = case_name(image)
        if image_of[name] != image:
            problem = f"a second image of the same name, beside {image_of[name]}"
            yield VolumeCase(name, image, problems=[problem])
            continue
        label = label_of.get(name)
        # images of a test folder have no labels by design
        notes = [] if label or part == "test" else ["image without label: used as unlabelled"]
        yield VolumeCase(name, image, label, listed_in=part, notes=notes)
    for label in labels:
        name = case_name(label)
        if name not in image_of:
            yield VolumeCase(name, None, label, problems=["label without image"])
        elif label_of[name] != label:
            problem = f"a second label of the same name, beside {label_of[name]}"
            yield VolumeCase(name, None, label, problems=[problem])


def _add_unlisted_label(case: VolumeCase, label: str) -> None:
    """A label that lies in its place, though dataset.json does not list it for the case."""
    if case.listed_in in ("training", "validation"):
        case.label = label
        case.notes = [f"label {label} is not what {DATALIST_NAME} lists, found by its name"]
    else:
        case.notes.append(f"label {label} is not used: {DATALIST_NAME} lists the image without one")
