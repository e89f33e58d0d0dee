"""What a folder of DICOM files holds: its files in a fixed order, and the one series that a model is to be run on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from monai_proto.dicom.header import InstanceHeader, NotDicomError, read_header
from monai_proto.dicom.series import DicomSeries, SeriesRejectedError, assemble_series

__all__ = ["open_series", "walk_files"]


def open_series(folder: str | os.PathLike, series_uid: str | None = None) -> DicomSeries:
    """
    Args:
        folder: folder with the files of a series; sub-folders count, other files do not matter.
        series_uid: SeriesInstanceUID of the series to take; None when there is but one with images.

    Returns:
        the series; its notes say what was left aside.

    Raises:
        ValueError: when there is no series of images, more than one, one with a file that cannot be read, or one that
            makes up no volume.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"Input {folder} is not a folder.")
    found: dict[str, list[InstanceHeader]] = {}
    aside: dict[str, int] = {}
    for file, problem in walk_files(folder):
        if problem:
            raise ValueError(f"Input {file}: {problem}.")
        try:
            header = read_header(file)
        except NotDicomError:
            aside["files that are not DICOM"] = aside.get("files that are not DICOM", 0) + 1
            continue
        except ValueError as error:  # it may be a slice of the series
            raise ValueError(f"Input {file}: {error}.") from error
        if header.kind == "image":
            found.setdefault(header.series_uid, []).append(header)
        else:
            aside[header.object_name] = aside.get(header.object_name, 0) + 1
    uid = _choose(found, folder, series_uid)
    notes = [f"left aside: {count} {what}" for what, count in aside.items()]
    notes += [f"left aside: {len(found) - 1} other series"] if len(found) > 1 else []
    try:
        series = assemble_series(found[uid], keep_derived=True)
    except SeriesRejectedError as error:
        raise ValueError(f"Series {uid} in {folder} cannot be used: {error}.") from error
    return replace(series, notes=(*series.notes, *notes))


def walk_files(root: str | os.PathLike) -> Iterator[tuple[Path, str | None]]:
    """
    Every file below a folder, a folder at a time, sorted by name; one folder's names are in memory at a time.

    Args:
        root: the folder.

    Yields:
        the file, and None or why it must not be read: it is a link that leads outside of ``root`` or nowhere, no
        regular file, or a folder that cannot be entered. Links to folders are not followed.
    """
    root = Path(root)
    inside = root.resolve()
    denied: list[OSError] = []
    for folder, folders, files in os.walk(root, onerror=denied.append):
        folders.sort()
        for error in denied:
            yield Path(error.filename), f"folder cannot be read: {error.strerror}"
        denied.clear()
        for name in sorted(files + [name for name in folders if os.path.islink(os.path.join(folder, name))]):
            file = Path(folder, name)
            yield file, _problem(file, inside)
    for error in denied:
        yield Path(error.filename), f"folder cannot be read: {error.strerror}"


def _choose(found: dict[str, list[InstanceHeader]], folder: Path, series_uid: str | None) -> str:
    listed = "; ".join(f"{uid} ({items[0].modality}, {len(items)} objects)" for uid, items in found.items())
    if not found:
        raise ValueError(f"Input {folder} holds no DICOM images.")
    if series_uid is not None:
        if series_uid not in found:
            raise ValueError(f"Input {folder} has no series {series_uid}; it has {listed}.")
        return series_uid
    if len(found) > 1:
        raise ValueError(f"Input {folder} holds {len(found)} series, choose one by --series: {listed}.")
    return next(iter(found))


def _problem(file: Path, inside: Path) -> str | None:
    if file.is_symlink():
        target = file.resolve()
        if not target.is_relative_to(inside):
            return "link that leads outside of the folder"
        if not target.exists():
            return "link that leads nowhere"
        if target.is_dir():
            return "link to a folder, not followed"
    return None if file.is_file() else "no regular file"
