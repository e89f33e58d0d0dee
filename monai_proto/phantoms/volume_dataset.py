"""Phantom data sets on disk: NIfTI volumes of planned patients and a data list, the same bytes on every run."""

from __future__ import annotations

import gzip
import io
import json
import logging
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import nibabel as nib
import numpy as np

from monai_proto.phantoms.ct.phantom import CT_LABELS, make_ct_phantom
from monai_proto.phantoms.mri.phantom import MRI_LABELS, make_mri_phantom
from monai_proto.phantoms.phantom import Phantom, whole_folder

__all__ = ["PlannedVolume", "plan_volumes", "write_ct_phantom_dataset", "write_mri_phantom_dataset"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _DatasetKind:
    """What sets the data sets of one modality apart."""

    name: str
    description: str
    modality: str
    labels: dict[str, str]
    pair: tuple[str, str]  # what the two volumes of a patient with two are called
    make: Callable[[int, int, Any], Phantom]  # seed, index of the patient, which of the pair


def write_mri_phantom_dataset(
    output_dir: str | os.PathLike,
    num_training: int = 24,
    num_validation: int = 8,
    num_patients: int | None = None,
    seed: int = 0,
) -> Path:
    """Write MRI crops of a hippocampus-like structure; some patients have both sides.

    Args:
        output_dir: folder to make; it must not exist or be empty. It appears when it is complete, or not at all.
        num_training: number of training volumes, 1 or more.
        num_validation: number of validation volumes, of other patients.
        num_patients: number of patients in all; None gives about every fourth patient a second volume.
        seed: seed of the data set.

    Returns:
        path of the data list, ``dataset.json``, with paths relative to its folder.

    Raises:
        ValueError: when the numbers do not fit together or ``seed`` is negative.
        FileExistsError: when ``output_dir`` has content.
    """
    kind = _DatasetKind(
        name="mri_phantom",
        description="Synthetic MRI crops with a hippocampus-like structure in two parts (monai_proto phantoms)",
        modality="MRI",
        labels=MRI_LABELS,
        pair=("left", "right"),
        make=make_mri_phantom,
    )
    return _write_dataset(Path(output_dir), kind, plan_volumes(num_training, num_validation, num_patients), seed)


def write_ct_phantom_dataset(
    output_dir: str | os.PathLike,
    num_training: int = 24,
    num_validation: int = 8,
    num_patients: int | None = None,
    seed: int = 0,
    voxel_size_mm: float = 4.0,
) -> Path:
    """Write CT volumes of an abdomen with five labelled organs; some patients have two contrast phases.

    Args:
        output_dir: folder to make; it must not exist or be empty. It appears when it is complete, or not at all.
        num_training: number of training volumes, 1 or more.
        num_validation: number of validation volumes, of other patients.
        num_patients: number of patients in all; None gives about every fourth patient a second volume.
        seed: seed of the data set.
        voxel_size_mm: typical voxel size.

    Returns:
        path of the data list, ``dataset.json``, with paths relative to its folder.

    Raises:
        ValueError: when the numbers do not fit together, ``seed`` is negative or ``voxel_size_mm`` is not positive.
        FileExistsError: when ``output_dir`` has content.
    """
    kind = _DatasetKind(
        name="ct_phantom",
        description="Synthetic abdominal CT volumes with five organs (monai_proto phantoms)",
        modality="CT",
        labels=CT_LABELS,
        pair=("arterial", "portal_venous"),
        make=partial(make_ct_phantom, voxel_size_mm=voxel_size_mm),
    )
    return _write_dataset(Path(output_dir), kind, plan_volumes(num_training, num_validation, num_patients), seed)


class PlannedVolume(NamedTuple):
    """One volume to make.

    Attributes:
        patient: number of the patient.
        member: 0 or 1 for the volumes of a patient with two, None for a patient's only volume.
    """

    patient: int
    member: int | None


def plan_volumes(
    num_training: int, num_validation: int, num_patients: int | None = None
) -> dict[str, list[PlannedVolume]]:
    """Share volumes out among patients.

    Patients with one volume come first in each list, so that the first few volumes, which a study with few labels
    takes, are of different people.

    Args:
        num_training: number of training volumes, 1 or more.
        num_validation: number of validation volumes, 0 or more.
        num_patients: number of patients, each with one or two volumes; None for about four patients to five volumes.

    Returns:
        the volumes of ``"training"`` and of ``"validation"``.

    Raises:
        ValueError: when a number is too small, or so many volumes cannot be shared out among so many patients.
    """
    if num_training < 1:
        raise ValueError(f"num_training must be 1 or more, got {num_training}.")
    if num_validation < 0:
        raise ValueError(f"num_validation must be 0 or more, got {num_validation}.")
    num_volumes = num_training + num_validation
    fewest_training, fewest_validation = math.ceil(num_training / 2), math.ceil(num_validation / 2)
    fewest = fewest_training + fewest_validation
    if num_patients is None:
        num_patients = max(fewest, round(0.8 * num_volumes))
    if not fewest <= num_patients <= num_volumes:
        raise ValueError(
            f"num_patients must lie between {fewest} and {num_volumes} for {num_training} training and "
            f"{num_validation} validation volumes, one or two a patient, got {num_patients}."
        )
    proportional = round(num_patients * num_training / num_volumes)
    lowest = max(fewest_training, num_patients - num_validation)
    highest = min(num_training, num_patients - fewest_validation)
    training_patients = min(max(proportional, lowest), highest)
    return {
        "training": _share_out(num_training, range(training_patients)),
        "validation": _share_out(num_validation, range(training_patients, num_patients)),
    }


def _write_dataset(output: Path, kind: _DatasetKind, plan: dict[str, list[PlannedVolume]], seed: int) -> Path:
    """Fill a folder that appears when all of it is there."""
    output = output.absolute()
    with whole_folder(output) as folder:
        logger.info("Making %d %s phantoms in %s", sum(map(len, plan.values())), kind.modality, output)
        _fill(folder, kind, plan, seed)
    return output / "dataset.json"


def _fill(folder: Path, kind: _DatasetKind, plan: dict[str, list[PlannedVolume]], seed: int) -> None:
    """Write all volumes, then the data list."""
    (folder / "imagesTr").mkdir()
    (folder / "labelsTr").mkdir()
    lists = {
        section: [_write_volume(folder, kind, volume, seed) for volume in volumes] for section, volumes in plan.items()
    }
    datalist = {
        "name": kind.name,
        "description": kind.description,
        "modality": {"0": kind.modality},
        "labels": kind.labels,
        "numTraining": len(lists["training"]),
        **lists,
    }
    (folder / "dataset.json").write_text(json.dumps(datalist, indent=2) + "\n", encoding="utf-8")


def _write_volume(folder: Path, kind: _DatasetKind, volume: PlannedVolume, seed: int) -> dict[str, str]:
    """Write one image with its label, and give its entry of the data list."""
    variant = None if volume.member is None else kind.pair[volume.member]
    patient_id = f"{kind.name}_{volume.patient:03d}"
    file_name = f"{patient_id}.nii.gz" if variant is None else f"{patient_id}_{variant}.nii.gz"
    phantom = kind.make(seed, volume.patient, variant)
    entry = {"image": f"imagesTr/{file_name}", "label": f"labelsTr/{file_name}", "patient_id": patient_id}
    _write_nifti(folder / entry["image"], phantom.image, phantom.affine)
    _write_nifti(folder / entry["label"], phantom.label, phantom.affine)
    return entry


def _write_nifti(path: Path, array: np.ndarray, affine: np.ndarray) -> None:
    """Write a compressed NIfTI without the time stamp and the file name that gzip stores by default."""
    image = nib.Nifti1Image(array, affine)
    image.set_sform(affine, code="scanner")
    image.set_qform(affine, code="scanner")
    image.header.set_xyzt_units("mm")
    compressed = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=compressed, mtime=0) as stream:
        stream.write(image.to_bytes())
    path.write_bytes(compressed.getvalue())


def _share_out(num_volumes: int, patients: range) -> list[PlannedVolume]:
    """One volume for each patient, and a second one for as many of the last patients as it takes."""
    num_single = 2 * len(patients) - num_volumes
    single = [PlannedVolume(patient, None) for patient in patients[:num_single]]
    double = [PlannedVolume(patient, member) for patient in patients[num_single:] for member in (0, 1)]
    return single + double
