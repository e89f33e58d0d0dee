"""Turns one series of a DICOM tree and the labels that refer to it into checked NIfTI files; a worker's whole task."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path

import numpy as np
import pooch

from monai_proto.data.atomic_write import write_text_atomically
from monai_proto.data.nifti import Volume, VolumeProblem, voxel_hash, write_nifti
from monai_proto.data.volume_checks import check_image, check_label_values, check_same_affine, check_same_shape
from monai_proto.dicom.header import read_header, read_tags
from monai_proto.dicom.pixels import read_pixels
from monai_proto.dicom.series import DicomSeries, SeriesRejectedError, assemble_series
from monai_proto.preparation.dicom.labels import LabelSource, read_series_label

__all__ = ["ConvertedSeries", "SeriesJob", "convert_series"]

_OUTCOME = "outcome.json"


@dataclass(frozen=True)
class SeriesJob:
    """
    What a worker needs to know.

    Args:
        root: the tree.
        folder: folder for the results of this series; those of an earlier run with the same input are kept.
        images: files of the series, relative to the tree.
        labels: what may hold its labels, read in this order.
        label_names: structures to take; None for all.
        keep_derived: see :func:`assemble_series`.
        min_slices: the same.
        keep_tags: DICOM keywords, or tags as ``0019,100A``, whose values are carried over.
    """

    root: str
    folder: str
    images: tuple[str, ...]
    labels: tuple[LabelSource, ...] = ()
    label_names: tuple[str, ...] | None = None
    keep_derived: bool = False
    min_slices: int = 2
    keep_tags: tuple[str, ...] = ()

    def fingerprint(self) -> str:
        """Changes with the input's files, with every option, and with what a result holds."""
        files = [*self.images, *(label.file for label in self.labels)]
        states = [os.stat(os.path.join(self.root, file)) for file in files]
        content = [
            asdict(self),
            [item.name for item in fields(ConvertedSeries)],
            [(state.st_size, state.st_mtime_ns) for state in states],
        ]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@dataclass
class ConvertedSeries:
    """
    What became of a series.

    Args:
        problems: why it was left out; empty when ``image.nii.gz`` lies in the job's folder.
        notes: what its user should know.
        labels: files of the tree that ``label.nii.gz`` was made of; none for an unlabelled image.
        label_names: structures in ``label.nii.gz``, in the order of its values 1, 2, ...
        label_problems: why other label files were not used, by file.
        copies: files of the tree that hold an instance a second time and were not read.
        checksums: SHA-256 of ``image`` and ``label``.
        image_hash: hash of the voxels, the same for copies.
        tags: values that are carried over.
    """

    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    label_names: list[str] = field(default_factory=list)
    label_problems: dict[str, str] = field(default_factory=dict)
    copies: list[str] = field(default_factory=list)
    checksums: dict[str, str] = field(default_factory=dict)
    image_hash: str | None = None
    tags: dict[str, str] = field(default_factory=dict)


def convert_series(job: SeriesJob) -> ConvertedSeries:
    """
    Read, check and write one series; holds one volume in memory.

    Raises:
        OSError: when the result cannot be written, for instance to a full disk. What is wrong with the series itself is
            in the result.
    """
    folder, fingerprint = Path(job.folder), job.fingerprint()
    earlier = _read_outcome(folder, fingerprint)
    if earlier:
        return earlier
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _OUTCOME).unlink(missing_ok=True)
    result = ConvertedSeries()
    try:
        headers = [read_header(os.path.join(job.root, file)) for file in job.images]
        series = assemble_series(headers, job.keep_derived, job.min_slices)
        result.notes += series.notes
        result.copies = [os.path.relpath(file, job.root) for file in series.copies]
        image = Volume(str(folder / "image.nii.gz"), read_pixels(series), series.affine)
        write_nifti(Path(image.file), image.data, image.affine)
        result.image_hash = voxel_hash(image)
        problems = check_image(image)
    except SeriesRejectedError as error:
        result.problems += error.reasons
    except ValueError as error:
        result.problems.append(str(error))
    except MemoryError:
        result.problems.append("does not fit into memory")
    else:
        # its voxels are not needed for a label to be checked, and a label may need the memory
        grid = replace(image, data=np.broadcast_to(np.uint8(0), image.data.shape))
        del image
        problems += _add_label(job, series, grid, folder, result)
        for problem in problems:
            text = f"{Path(problem.file).name}: {problem.message}"
            (result.notes if problem.is_warning else result.problems).append(text)
        keys = ["image", *(["label"] if result.labels else [])]
        result.checksums = {key: pooch.file_hash(str(folder / f"{key}.nii.gz"), "sha256") for key in keys}
        result.tags = read_tags(series.first.file, job.keep_tags)
    content = {"fingerprint": fingerprint, **asdict(result)}
    write_text_atomically(folder / _OUTCOME, json.dumps(content, indent=1) + "\n")
    return result


def _read_outcome(folder: Path, fingerprint: str) -> ConvertedSeries | None:
    try:
        content = json.loads((folder / _OUTCOME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if content.pop("fingerprint", None) != fingerprint:
        return None
    outcome = ConvertedSeries(**content)
    return outcome if outcome.problems or (folder / "image.nii.gz").is_file() else None


def _add_label(
    job: SeriesJob, series: DicomSeries, grid: Volume, folder: Path, result: ConvertedSeries
) -> list[VolumeProblem]:
    """Write the label, if there is one; returns what the checks of every other preparation find wrong with it."""
    label, result.label_problems = read_series_label(job.root, job.labels, series, job.label_names)
    if label is None:
        return []
    written = Volume(str(folder / "label.nii.gz"), label.voxels, series.affine)
    write_nifti(Path(written.file), written.data, written.affine)
    result.labels = [source.file for source in label.sources]
    result.label_names = list(label.names)
    result.notes += label.notes
    return check_same_shape(grid, written) + check_same_affine(grid, written) + check_label_values(written)
