"""Finds the label of a series among the SEG and RTSTRUCT files that refer to it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from monai_proto.data.label_map import paint_masks
from monai_proto.dicom.rtstruct import read_structure_set
from monai_proto.dicom.seg_reader import read_segmentation
from monai_proto.dicom.series import DicomSeries

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
        sources: where it comes from.
        names: structures in the order of the values 1, 2, ...
        voxels: label map on the grid of the series.
        notes: what its user should know.
    """

    sources: tuple[LabelSource, ...]
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
    Each structure is taken from the first sound source that has voxels of it: where every structure has a SEG of its
    own, they come together. All sources are read, so that a defect is not hidden by a sound one.

    Args:
        root: the tree.
        sources: what may hold the label.
        series: the images.
        label_names: structures to take; None for all.

    Returns:
        the label, None where there is none, and why the other sources were not used, by file.
    """
    used: list[SeriesLabel] = []
    origin: dict[str, SeriesLabel] = {}
    problems: dict[str, str] = {}
    for source in sources:
        try:
            found = _read(root, source, series, label_names)
        except ValueError as error:
            problems[source.file] = str(error)
            continue
        drawn = [found.names[value - 1] for value in np.unique(found.voxels) if value]
        again = [name for name in drawn if name in origin]
        if len(again) == len(drawn):
            problems[source.file] = f"its series has a label of {', '.join(again)} already"
            continue
        notes = tuple(f"several files have a label of {name}: the first one counts" for name in again)
        used.append(replace(found, notes=found.notes + notes))
        origin |= {name: found for name in drawn if name not in origin}
    if len(used) > 1:
        return _together(used, origin), problems
    return (used[0] if used else None), problems


def _together(labels: Sequence[SeriesLabel], origin: Mapping[str, SeriesLabel]) -> SeriesLabel:
    """One label of several; ``origin`` says for each structure with voxels which of them it is taken from."""
    names = tuple(dict.fromkeys(name for label in labels for name in label.names))
    masks = {name: label.voxels == label.names.index(name) + 1 for name, label in origin.items()}
    values = {name: value for value, name in enumerate(names, start=1)}
    voxels, overlap = paint_masks(masks, values, labels[0].voxels.shape)
    notes = dict.fromkeys([*(note for label in labels for note in label.notes), *overlap])
    return SeriesLabel(tuple(source for label in labels for source in label.sources), names, voxels, tuple(notes))


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
    return SeriesLabel((source,), tuple(names), voxels, tuple(f"{source.kind} {note}" for note in notes))
