"""Which patient has how many volumes, and on which side of the split: no patient is on both."""

from __future__ import annotations

import math
from typing import NamedTuple

__all__ = ["PlannedVolume", "plan_volumes"]


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


def _share_out(num_volumes: int, patients: range) -> list[PlannedVolume]:
    """One volume for each patient, and a second one for as many of the last patients as it takes."""
    num_single = 2 * len(patients) - num_volumes
    single = [PlannedVolume(patient, None) for patient in patients[:num_single]]
    double = [PlannedVolume(patient, member) for patient in patients[num_single:] for member in (0, 1)]
    return single + double
