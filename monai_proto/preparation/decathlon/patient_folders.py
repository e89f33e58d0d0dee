"""Images and labels that two glob patterns name, such as ``patientA/t1.nii.gz`` and ``patientA/seg.nii.gz``."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from pathlib import Path, PurePosixPath

from monai_proto.data.nifti import case_name, is_apple_double, is_nifti_name
from monai_proto.preparation.volumes.case import VolumeCase, VolumeFolder
from monai_proto.preparation.volumes.work_folder import link_into

__all__ = ["gather_matching_files", "match_files", "path_names"]

_WILDCARDS = re.compile(r"\*\*/|\*|\?")
_GROUPS = {"**/": "((?:[^/]+/)*)", "*": "([^/]*)", "?": "([^/])"}


def gather_matching_files(root: Path, images: str, labels: str, work: Path) -> VolumeFolder:
    """
    Fill ``work`` with ``imagesTr`` and ``labelsTr`` as symbolic links under names that are unique.

    An image and a label belong together when the wildcards stand for the same in both. The patient is the first folder
    that a wildcard stands for: whatever lies in it stays on one side of a split.

    Args:
        root: folder of the source.
        images, labels: glob patterns relative to ``root``: ``*`` and ``?`` within a name, ``**/`` for any folders.
        work: empty folder.

    Returns:
        the folder of links; a case is named by its path, ``patientA_t1`` for ``patientA/t1.nii.gz``.

    Raises:
        ValueError: when the folder does not exist, the patterns have other wildcards than each other, a pattern fits
            nothing, or two files are the same for it.
    """
    if not root.is_dir():
        raise ValueError(f"--source {root} is not a folder.")
    if _WILDCARDS.findall(images) != _WILDCARDS.findall(labels) or not _WILDCARDS.findall(images):
        raise ValueError(
            f"--images {images!r} and --labels {labels!r} must have the same wildcards in the same order, as in "
            "'*/t1.nii.gz' and '*/seg.nii.gz': files for which they stand for the same belong together."
        )
    found, label_of = match_files(root, images, "--images"), match_files(root, labels, "--labels")
    both = sorted(set(found.values()) & set(label_of.values()))
    if both:
        raise ValueError(f"--images {images!r} and --labels {labels!r} both name {both[0]}.")
    names = path_names([*found.values(), *label_of.values()])
    depth = _depth_of_patient(images)
    cases = []
    for key, image in found.items():
        case = VolumeCase(names[image], link_into(work, "imagesTr", names[image], root / image))
        if depth is not None:
            case.subject = PurePosixPath(image).parts[depth] if len(PurePosixPath(image).parts) > depth + 1 else None
        if key in label_of:
            case.label = link_into(work, "labelsTr", names[image], root / label_of.pop(key))
        else:
            case.notes.append("image without label: used as unlabelled")
        cases.append(case)
    for label in label_of.values():
        link = link_into(work, "labelsTr", names[label], root / label)
        cases.append(VolumeCase(names[label], None, link, problems=["label without image"]))
    remarks = [f"images {images} and labels {labels} of {root.resolve().name}; cases are named by their paths"]
    return VolumeFolder(work, {}, cases, remarks)


def match_files(root: Path, pattern: str, option: str) -> dict[tuple[str, ...], str]:
    """
    Args:
        root: a folder.
        pattern: glob pattern relative to it.
        option: what an error calls the pattern.

    Returns:
        NIfTI files, relative with forward slashes and by name, by what the wildcards stand for in each.

    Raises:
        ValueError: when no file fits, or two files do not differ in what the wildcards stand for.
    """
    expression = re.compile(
        "".join(_GROUPS.get(part) or re.escape(part) for part in re.split(f"({_WILDCARDS.pattern})", pattern))
    )
    found: dict[tuple[str, ...], str] = {}
    for path in sorted(root.rglob("*")):
        file = path.relative_to(root).as_posix()
        match = expression.fullmatch(file)
        if match is None or is_apple_double(path) or not is_nifti_name(path) or not path.is_file():
            continue
        if found.setdefault(match.groups(), file) != file:
            raise ValueError(f"{option} {pattern!r} fits both {found[match.groups()]} and {file}: leave one out.")
    if not found:
        raise ValueError(f"{option} {pattern!r} fits no .nii.gz or .nii file in {root}.")
    return found


def path_names(files: list[str]) -> dict[str, str]:
    """
    A name for every file that no other one has: its path with ``_`` between the folders, without suffix. Where two
    paths come to the same (``a/b_c`` and ``a_b/c``), a hash of its path tells each of them apart.

    Args:
        files: relative paths, with forward slashes.
    """
    plain = {file: "_".join((*PurePosixPath(file).parts[:-1], case_name(file))) for file in files}
    # two names that differ in the case of letters alone are the same on some file systems
    counts = Counter(name.lower() for name in plain.values())
    return {
        file: name if counts[name.lower()] == 1 else f"{name}_{hashlib.sha256(file.encode()).hexdigest()[:8]}"
        for file, name in plain.items()
    }


def _depth_of_patient(pattern: str) -> int | None:
    """Which folder of a path, from 0, is the first that a wildcard stands for; None when none is."""
    folders = pattern.split("/")[:-1]
    return next((depth for depth, folder in enumerate(folders) if _WILDCARDS.search(folder)), None)
