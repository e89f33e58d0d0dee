"""Divides cases by subject: no subject (patient, lesion) is ever on two sides of a split."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from monai_proto.data.table_file import read_table

__all__ = ["draw_subjects", "draw_whole_subjects", "read_subjects_csv", "require_disjoint_subjects", "split_subjects"]


def read_subjects_csv(file: str | os.PathLike) -> dict[str, str]:
    """
    Read a table with the columns ``case`` and ``subject``, one row a case.

    Returns:
        subject of each case.

    Raises:
        ValueError: when the file does not exist, is no table, lacks a column, has an empty cell, or gives a case two
            subjects.
    """
    table = read_table(file, "Subjects file")
    if not (table.find("case") and table.find("subject")):
        raise ValueError(f"{table.name} must have the columns case and subject, got {list(table.columns)}.")
    subjects: dict[str, str] = {}
    for row in table.rows:
        case, subject = row["case"], row["subject"]
        if not case or not subject:
            raise table.error(row, "case or subject is empty.")
        if subjects.setdefault(case, subject) != subject:
            raise ValueError(f"{table.name} gives case {case} two subjects: {subjects[case]}, {subject}.")
    return subjects


def draw_subjects(subjects: Iterable[str], seed: int) -> list[str]:
    """
    The distinct subjects in a random order that depends on nothing but their names and the seed.

    Subjects are ordered by a hash of seed and name: the order is the same on every machine and with every library
    version, does not depend on the order of files, and cases that arrive later do not reshuffle the earlier ones.
    """
    return sorted(set(subjects), key=lambda subject: hashlib.sha256(f"{seed}/{subject}".encode()).digest())


def split_subjects(subjects: Iterable[str], fractions: Mapping[str, float], seed: int) -> dict[str, str]:
    """
    Put whole subjects aside, for instance for validation and for test.

    Args:
        subjects: subjects to divide; repeats do not matter.
        fractions: share of the subjects that each part takes, 0 <= fraction < 1; a share above 0 takes at least one.
        seed: what the draw depends on.

    Returns:
        part of each subject that was put aside; subjects that are not in it stay where they were (training).

    Raises:
        ValueError: when a fraction is out of range, or when no subject would be left.
    """
    drawn = draw_subjects(subjects, seed)
    part_of: dict[str, str] = {}
    for part, fraction in fractions.items():
        if not 0 <= fraction < 1:
            raise ValueError(f"{part}_fraction must be at least 0 and below 1, got {fraction}.")
        count = max(1, round(fraction * len(drawn))) if fraction else 0
        start = len(part_of)
        part_of.update(dict.fromkeys(drawn[start : start + count], part))
    if part_of and len(part_of) >= len(drawn):
        asked = ", ".join(f"{part}_fraction={fraction:g}" for part, fraction in fractions.items())
        raise ValueError(f"{asked} of {len(drawn)} subject(s) with labels would leave none for training: lower it.")
    return part_of


def draw_whole_subjects(case_subjects: Sequence[str], num_cases: int, seed: int) -> list[int]:
    """
    Draw exactly ``num_cases`` cases at random so that each subject is drawn with all of its cases or not at all.

    Subjects are taken in the order of :func:`draw_subjects`; one with more cases than are still wanted is passed over.

    Args:
        case_subjects: subject of each case.
        num_cases: number of cases wanted, 1 .. len(case_subjects).
        seed: what the draw depends on.

    Returns:
        indices into ``case_subjects``, a subject's cases next to each other.

    Raises:
        ValueError: when ``num_cases`` is out of range, or the draw cannot be filled with whole subjects.
    """
    if not 1 <= num_cases <= len(case_subjects):
        raise ValueError(
            f"num_labelled must be in 1 .. {len(case_subjects)}, the labelled cases there, got {num_cases}."
        )
    sizes = Counter(case_subjects)
    drawn: list[int] = []
    for subject in draw_subjects(case_subjects, seed):
        if len(drawn) + sizes[subject] <= num_cases:
            drawn += [index for index, owner in enumerate(case_subjects) if owner == subject]
    if len(drawn) < num_cases:
        raise ValueError(
            f"num_labelled={num_cases} cannot be filled with whole subjects in this draw: "
            f"take {len(drawn)}, another number, or another seed."
        )
    return drawn


def require_disjoint_subjects(parts: Mapping[str, Iterable[tuple[str, str]]], source: str) -> None:
    """
    Args:
        parts: (case, subject) pairs of each part of a split.
        source: what the message names, for instance the data list's path.

    Raises:
        ValueError: when a subject has cases in two parts; names the subject and a case on each side.
    """
    first_seen: dict[str, tuple[str, str]] = {}
    for part, cases in parts.items():
        for case, subject in cases:
            other_part, other_case = first_seen.setdefault(subject, (part, case))
            if other_part != part:
                raise ValueError(
                    f"{source}: patient {subject} is on two sides of the split: "
                    f"{other_case} in {other_part} and {case} in {part}."
                )
