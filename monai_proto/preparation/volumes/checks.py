"""Reads every case once, and marks those that cannot be used."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping

import pooch
from rich.console import Console
from rich.progress import track

from monai_proto.data.case import CopyDropper
from monai_proto.data.volume_checks import check_pair
from monai_proto.preparation.volumes.case import VolumeCase, VolumeFolder

__all__ = ["assign_subjects", "check_cases"]


def assign_subjects(cases: Iterable[VolumeCase], subjects: Mapping[str, str]) -> list[str]:
    """
    Set the subject of every case: of ``subjects``, else as dataset.json gives it, else the case itself.

    Args:
        cases: usable cases.
        subjects: subject of each case by name; may be empty.

    Returns:
        remarks for the report: on how many cases the subject is a guess.
    """
    cases = list(cases)
    if not cases:
        return []
    for case in cases:
        case.subject = subjects.get(case.case, case.subject)
    unknown = [case for case in cases if case.subject is None]
    all_unknown = len(unknown) == len(cases)
    for case in unknown:
        case.subject = case.case
        if not all_unknown:
            case.notes.append("subject not known: taken as a subject of its own")
    if all_unknown:
        return ["no subjects given: every case is taken as a subject of its own"]
    if unknown:
        return [f"cases without a known subject, each taken as its own (the subjects file can name it): {len(unknown)}"]
    return []


def check_cases(
    folder: VolumeFolder,
    num_channels: int = 1,
    declared_values: Collection[int] | None = None,
    console: Console | None = None,
) -> set[int]:
    """
    Check image and label of every case, one in memory at a time; sets ``problems``, ``notes`` and ``checksums``.

    Of cases with the same voxels the first one stays. Cases with a label come first, so that an unlabelled copy of a
    labelled image is the one that goes.

    Args:
        folder: the cases.
        num_channels: number of modalities.
        declared_values: values of the declared classes; None when nothing is declared.
        console: where a progress bar is shown; None for nowhere.

    Returns:
        label values found, where none were declared.
    """
    copies = CopyDropper[VolumeCase](
        lambda case: case.image, lambda case, first: f"duplicate: {case.image} has the same voxels as {first.image}"
    )
    found_values: set[int] = set()
    cases = sorted(folder.cases, key=lambda case: case.label is None)
    for case in track(cases, "Checking cases", console=console, disable=console is None):
        if case.image is None or case.problems:
            continue
        label_file = folder.root / case.label if case.label else None
        check = check_pair(folder.root / case.image, label_file, num_channels, declared_values)
        for problem in check.problems:
            file = os.path.relpath(problem.file, folder.root).replace(os.sep, "/")
            # of a case that is left out, a warning is one more hint at what went wrong
            (case.notes if check.usable else case.problems).append(f"{file}: {problem.message}")
        if not check.usable or copies.drop(case, check.image_hash):
            continue
        found_values.update(check.label_values)
        keys = {"image": case.image, "label": case.label}
        case.checksums = {key: pooch.file_hash(folder.root / file, "sha256") for key, file in keys.items() if file}
    return found_values
