"""Makes a conversion job of every series of an indexed tree, with the labels that refer to it."""

from __future__ import annotations

import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from monai_proto.dicom.index import DicomIndex
from monai_proto.preparation.dicom.checks import SeriesJob
from monai_proto.preparation.dicom.labels import LabelSource
from monai_proto.preparation.dicom.left_out import LeftOutList
from monai_proto.preparation.dicom.pseudonyms import KeyRow, Pseudonyms

__all__ = ["DicomOptions", "describe_files", "labels_by_series", "series_jobs", "work_folder"]


@dataclass(frozen=True)
class DicomOptions:
    """
    What is taken over.

    Args:
        modality: series of this modality alone; None for all.
        label_names: structures in the order of the label values 1, 2, ...; None for all that occur, by name.
        keep_derived: take derived images as well.
        min_slices: number of slices that a series must have.
        keep_tags: DICOM keywords or tags whose values go into the data list.
    """

    modality: str | None = None
    label_names: tuple[str, ...] | None = None
    keep_derived: bool = False
    min_slices: int = 2
    keep_tags: tuple[str, ...] = ()


def labels_by_series(index: DicomIndex, left: LeftOutList) -> dict[str, list[LabelSource]]:
    """
    The SEG and RTSTRUCT files by the series that they refer to, SEG first: voxels need no interpretation.

    Args:
        index: the tree.
        left: takes those that refer to no series of the tree, or to several.
    """
    known = set(index.series())
    labels: dict[str, list[LabelSource]] = defaultdict(list)
    for kind in ("SEG", "RTSTRUCT"):
        for found in index.of_kind(kind):
            source = LabelSource(found.file, kind, found.names)
            series = [uid for uid in dict.fromkeys(found.refers_to) if uid in known]
            if len(series) == 1:
                labels[series[0]].append(source)
            elif not found.refers_to:
                left.add_label(source, "refers to no series of images")
            elif series:
                left.add_label(source, "refers to more than one series of images")
            else:
                left.add_label(source, "refers to series of images that are not here")
    return labels


def series_jobs(
    index: DicomIndex,
    labels: Mapping[str, Sequence[LabelSource]],
    known: Sequence[KeyRow],
    work: Path,
    options: DicomOptions,
    left: LeftOutList,
) -> Iterator[tuple[KeyRow, SeriesJob]]:
    """
    Args:
        index: the tree.
        labels: see :func:`labels_by_series`.
        known: key of an earlier run, whose pseudonyms are kept.
        work: folder for the results.
        options: what is taken over.
        left: takes the series of other modalities.

    Yields:
        pseudonyms and job of each series.
    """
    names = Pseudonyms(known)
    for series in index.series():
        images = index.images(series)
        first, files = images[0], [image.file for image in images]
        row = names.name(*first.patient, first.study, series, first.modality)
        if options.modality and first.modality != options.modality:
            reason = f"modality {first.modality or 'unknown'}, asked for is {options.modality}"
            left.add(row.case, describe_files(files, index), reason)
            for source in labels.get(series, []):
                left.add_label(source, "its series was left out")
            continue
        job = SeriesJob(
            root=str(index.root),
            folder=str(work_folder(work, series)),
            images=tuple(files),
            labels=tuple(labels.get(series, ())),
            label_names=options.label_names,
            keep_derived=options.keep_derived,
            min_slices=options.min_slices,
            keep_tags=options.keep_tags,
        )
        yield row, job


def work_folder(work: Path, series: str) -> Path:
    """Folder for the results of a series; a UID may hold what no file name should."""
    return work / "series" / hashlib.sha256(series.encode()).hexdigest()[:24]


def describe_files(files: Sequence[str], index: DicomIndex) -> list[str]:
    """
    The folder and the number of files where a series fills it, since a series has hundreds; else file by file.

    Args:
        files: files of one series.
        index: the tree.
    """
    described: list[str] = []
    for folder, count in Counter(os.path.dirname(file) for file in files).items():
        if index.num_images_in(folder) == count:
            described.append(f"{folder or '.'}/ ({count} files)")
        else:
            described += [file for file in files if os.path.dirname(file) == folder]
    return described
