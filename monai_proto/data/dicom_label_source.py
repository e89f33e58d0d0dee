"""Finds the label of a series among the SEG and RTSTRUCT files that refer to it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from monai_proto.data.dicom_rtstruct import read_structure_set
from monai_proto.data.dicom_seg_reader import read_segmentation
from monai_proto.data.dicom_series import DicomSeries

__all__ = ["LabelSource", "SeriesLabel", "read_series_label"]

_READERS = {"SEG": read_segmentation, "RTSTRUCT": read_structure_set}


@dataclass(frozen=True)
class LabelSource:
    """
    A SEG or an RTSTRUCT that refers to a series.

    Args:
        file: path relative to the tree.
        kind: ``SEG`` or ``RTSTRUCT``.
        names: its segments or structures.
    """

    file: str
    kind: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class SeriesLabel:
    """
    The label of a series.

    Args:
        source: where it comes from.
        names: structures in the order of the values 1, 2, ...
        voxels: label map on the grid of the series.
        notes: what its user should know.
    """

    source: LabelSource
    names: tuple[str, ...]
    voxels: np.ndarray
    notes: tuple[str, ...]


def read_series_label(
    root: str | os.PathLike,
    sources: Sequence[LabelSource],
    series: DicomSeries,
    label_names: Sequence[str] | None = None,
) -> tuple[SeriesLabel | None, dict[str, str]]:
    """
    Take the first source that is sound; the others are read as well, so that a defect is not hidden by a sound one.

    Args:
        root: the tree.
        sources: what may hold the label.
        series: the images.
        label_names: structures to take; None for all.

    Returns:
        the label, None where there is none, and why the other sources were not used, by file.
    """
    label, problems = None, {}
    for source in sources:
        try:
            found = _read(root, source, series, label_names)
        except ValueError as error:
            problems[source.file] = str(error)
            continue
        if label is None:
            label = found
        else:
            problems[source.file] = "its series has a label already"
    return label, problems


def _read(
    root: str | os.PathLike, source: LabelSource, series: DicomSeries, label_names: Sequence[str] | None
) -> SeriesLabel:
    names = [name for name in dict.fromkeys(source.names) if label_names is None or name in label_names]
    if not names:
        raise ValueError("has none of the structures asked for")
    values = {name: value for value, name in enumerate(names, start=1)}
    voxels, notes = _READERS[source.kind](os.path.join(root, source.file), series, values)
    if not voxels.any():
        raise ValueError("is empty: no voxel of any structure")
    return SeriesLabel(source, tuple(names), voxels, tuple(f"{source.kind} {note}" for note in notes))
