"""Which cases a raw folder of nnU-Net holds, with their channels joined and under names without a channel's number."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

from monai_proto.data.datalist import DATALIST_NAME
from monai_proto.data.nifti import Volume, is_apple_double, read_volume, shape_text, write_nifti
from monai_proto.data.voxel_grid import grid_deviation
from monai_proto.preparation.nnunet.description import NnunetDescription
from monai_proto.preparation.volumes.case import VolumeCase, VolumeFolder
from monai_proto.preparation.volumes.work_folder import link_into

__all__ = ["find_nnunet_root", "gather_nnunet_cases", "join_channels"]

# images, their labels, and the list that they belong to by their place
_FOLDERS = (("imagesTr", "labelsTr", None), ("imagesTs", "labelsTs", "test"))
_GRID_TOLERANCE = 1e-3  # mm that the corners of two channels may lie apart


def find_nnunet_root(source: Path) -> Path:
    """
    The folder itself, or the only one in it, when it has a dataset.json and a folder imagesTr.

    Raises:
        ValueError: when neither has.
    """
    if not source.is_dir():
        raise ValueError(f"--source {source} is not a folder.")
    inner = [path for path in source.iterdir() if path.is_dir() and not path.name.startswith(".")]
    for root in (source, *(inner if len(inner) == 1 else ())):
        if (root / DATALIST_NAME).is_file() and (root / "imagesTr").is_dir():
            return root
    raise ValueError(
        f"--source {source} is no raw folder of nnU-Net: it has no {DATALIST_NAME} beside a folder imagesTr. Give the "
        "folder of one data set, such as nnUNet_raw/Dataset004_Hippocampus."
    )


def gather_nnunet_cases(
    root: Path,
    description: NnunetDescription,
    split: Mapping[str, str],
    work: Path,
    console: Console | None = None,
) -> VolumeFolder:
    """
    Fill ``work`` with ``imagesTr``, ``imagesTs`` and ``labelsTr``: symbolic links to images of one channel and to
    labels, and new files where several channels are joined. Holds one case in memory.

    Args:
        root: the raw folder.
        description: what its dataset.json says.
        split: ``"training"`` or ``"validation"`` of the cases that a fold names; may be empty.
        work: empty folder.
        console: where a progress bar is shown; None for nowhere.

    Returns:
        the folder; an image without a label is unlabelled, one with a channel too few or too many has a problem.
    """
    cases: list[VolumeCase] = []
    ignored: list[str] = []
    for images, labels, part in _FOLDERS:
        channels_of = _channels(root, images, description.file_ending, ignored)
        label_of = _labels(root, labels, description.file_ending, ignored)
        known = {case.case for case in cases}
        shown = track(channels_of.items(), f"Reading {images}", console=console, disable=console is None)
        for name, channels in shown if channels_of else ():
            case = VolumeCase(name, listed_in=part or split.get(name))
            cases.append(case)
            if name in known:
                case.problems.append(f"a second case of the same name in {images}")
                continue
            case.image = _image(case, channels, description.channels, images, work)
            label = label_of.pop(name, None)
            if label is not None:
                case.label = link_into(work, labels, name, label)
            elif part != "test" and not case.problems:  # images of a test folder have no labels by design
                case.notes.append("image without label: used as unlabelled")
        for name, label in label_of.items():
            link = link_into(work, labels, name, label)
            cases.append(VolumeCase(name, None, link, problems=["label without image"]))
    return VolumeFolder(work, description.properties, cases, _remarks(cases, split, ignored))


def join_channels(files: list[Path]) -> tuple[Volume | None, list[str]]:
    """
    Images of one channel each as one image.

    Args:
        files: NIfTI files (X, Y, Z) in the order of their channels.

    Returns:
        voxels (X, Y, Z, channels), of the type that all files have, else float32; or None and why not.
    """
    volumes: list[Volume] = []
    problems: list[str] = []
    for file in files:
        volume, found = read_volume(file)
        problems += [f"{file.name}: {problem.message}" for problem in found]
        if volume is None:
            continue
        if volume.data.shape[3:] not in ((), (1,)) or volume.data.ndim < 3:
            problems.append(f"{file.name}: one channel must be 3-D, got {shape_text(volume.data.shape)}")
            continue
        volumes.append(volume)
        first = volumes[0]
        if volume.data.shape[:3] != first.data.shape[:3]:
            shapes = f"{shape_text(volume.data.shape[:3])}, {shape_text(first.data.shape[:3])}"
            problems.append(f"{file.name}: another shape than {Path(first.file).name}: {shapes}")
        elif (
            not grid_deviation(first.data.shape, first.affine, volume.affine) <= _GRID_TOLERANCE
        ):  # NaN is another place
            problems.append(f"{file.name}: lies elsewhere than {Path(first.file).name}")
    if problems:
        return None, problems
    types = {volume.data.dtype for volume in volumes}
    voxels = np.stack([volume.data.reshape(volume.data.shape[:3]) for volume in volumes], axis=-1)
    # of 64-bit integers NIfTI readers know little
    same = len(types) == 1 and types.pop() not in (np.dtype(np.int64), np.dtype(np.uint64), np.dtype(bool))
    return Volume(volumes[0].file, voxels if same else voxels.astype(np.float32), volumes[0].affine), []


def _channels(root: Path, folder: str, ending: str, ignored: list[str]) -> dict[str, dict[int, Path]]:
    """Files by case and channel."""
    pattern = re.compile(rf"(.+)_(\d{{4}}){re.escape(ending)}")
    found: dict[str, dict[int, Path]] = {}
    for file in _files(root / folder):
        match = pattern.fullmatch(file.name)
        if match is None:
            ignored.append(f"{folder}/{file.name}")
        else:
            found.setdefault(match[1], {})[int(match[2])] = file
    return found


def _labels(root: Path, folder: str, ending: str, ignored: list[str]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for file in _files(root / folder):
        name = file.name.removesuffix(ending)
        if name and name != file.name:
            found[name] = file
        else:
            ignored.append(f"{folder}/{file.name}")
    return found


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return [file for file in sorted(folder.iterdir()) if file.is_file() and not is_apple_double(file)]


def _image(case: VolumeCase, channels: dict[int, Path], names: list[str], folder: str, work: Path) -> str | None:
    """The image in the work folder; None where it cannot be had, with the problem of the case."""
    missing = [f"{number} ({name})" for number, name in enumerate(names) if number not in channels]
    more = [file.name for number, file in channels.items() if number >= len(names)]
    if missing:
        case.problems.append(f"no file of channel {', '.join(missing)}")
    if more:
        case.problems.append(f"more channels than the {len(names)} of {DATALIST_NAME}: {', '.join(more)}")
    if case.problems:
        return None
    if len(names) == 1:
        return link_into(work, folder, case.case, channels[0])
    joined, problems = join_channels([channels[number] for number in range(len(names))])
    case.problems += problems
    if joined is None:
        return None
    image = f"{folder}/{case.case}.nii.gz"
    (work / folder).mkdir(exist_ok=True)
    write_nifti(work / image, joined.data, joined.affine)
    return image


def _remarks(cases: list[VolumeCase], split: Mapping[str, str], ignored: list[str]) -> list[str]:
    remarks = [f"ignored, as no files of a case: {', '.join(ignored)}"] if ignored else []
    if split:
        names = {case.case for case in cases}
        unlisted = sum(case.case not in split and case.listed_in is None and not case.problems for case in cases)
        gone = len(set(split) - names)
        remarks += [f"cases that the fold does not name, for training: {unlisted}"] if unlisted else []
        remarks += [f"cases that the fold names and that are not here: {gone}"] if gone else []
    return remarks
