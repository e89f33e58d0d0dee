"""Divides checked dermoscopy images into training, validation and test, whole groups at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from monai_proto.data.subject_split import draw_subjects
from monai_proto.preparation.isic.case import IsicCase

__all__ = ["DEFAULT_VALIDATION_FRACTION", "IsicDivision", "divide_isic_cases", "draw_stratified_groups"]

DEFAULT_VALIDATION_FRACTION = 0.2
# a group on two sides goes to the first of these that has an image of it: never from a held-out part into training
_PARTS_BY_RANK = ("test", "validation", "training")


@dataclass
class IsicDivision:
    """
    Which image goes where.

    Args:
        training: images to learn from.
        validation: images to choose by.
        test: images held out.
        remarks: where the split comes from, and how many images of each class are in each part.
    """

    training: list[IsicCase] = field(default_factory=list)
    validation: list[IsicCase] = field(default_factory=list)
    test: list[IsicCase] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def parts(self) -> dict[str, list[IsicCase]]:
        """The images by the name of their part."""
        return {"training": self.training, "validation": self.validation, "test": self.test}


def divide_isic_cases(
    cases: Sequence[IsicCase],
    classes: Sequence[str],
    validation_fraction: float | None = None,
    test_fraction: float | None = None,
    seed: int = 0,
) -> IsicDivision:
    """
    Divide usable images by class and by group.

    A part that the source gives (``listed_in``) is kept, images that it does not list follow their group, or join
    training. A part that it does not give is drawn from what is then in training, stratified by class.

    Args:
        cases: usable images, each with its label and group.
        classes: names of the classes.
        validation_fraction: share of the images drawn from, of each class; None is 0.2, unless validation is given.
        test_fraction: share of the images drawn from, of each class; None is 0, unless test is given.
        seed: what the draw depends on.

    Raises:
        ValueError: when a fraction is out of range or of a part that the source gives, or nothing is left for training.
    """
    part_of = _given_parts(cases)
    given = {case.listed_in for case in cases if case.listed_in}
    asked = {"validation": validation_fraction, "test": test_fraction}
    for part, fraction in asked.items():
        if fraction is not None and part in given:
            raise ValueError(
                f"--{part}-fraction does not fit: the source gives a part {part}; --ignore-split draws anew."
            )
    if validation_fraction is None:
        asked["validation"] = DEFAULT_VALIDATION_FRACTION
    fractions = {part: fraction or 0.0 for part, fraction in asked.items() if part not in given}
    pool = [case for case in cases if part_of.get(case.group, "training") == "training"]
    part_of |= draw_stratified_groups(
        [case.class_name for case in pool], [case.group for case in pool], fractions, seed
    )

    division = IsicDivision()
    moved = 0
    for case in cases:
        part = part_of.get(case.group, "training")
        if case.listed_in and case.listed_in != part and part in given:
            moved += 1
            case.notes.append(f"moved from {case.listed_in} to {part}, where an image of its lesion or look is")
        division.parts()[part].append(case)
    if not division.training:
        raise ValueError("No image is left for training: the source gives all to validation or test.")
    drawn = [f"{part} ({fraction:g})" for part, fraction in fractions.items() if fraction]
    origin = [f"{', '.join(sorted(given))} as the source gives it"] if given else []
    origin += [f"{', '.join(drawn)} drawn by class and lesion with seed {seed}"] if drawn else []
    division.remarks.append(f"split: {'; '.join(origin) or 'all in training'}")
    if moved:
        division.remarks.append(f"images moved so that no lesion and no near-duplicate is on two sides: {moved}")
    division.remarks += _count_classes(division, classes)
    return division


def draw_stratified_groups(
    labels: Sequence[str], groups: Sequence[str], fractions: Mapping[str, float], seed: int
) -> dict[str, str]:
    """
    Put whole groups (lesions, patients) aside so that each part gets about its share of the images of every class.

    Within a class groups are taken in the order of :func:`monai_proto.data.subject_split.draw_subjects`, which depends
    on nothing but their names and the seed; a group counts to the class that most of its images have. Where the groups
    of a class suffice, every part with a fraction above 0 gets one of them at least; the last one is never taken.

    Args:
        labels: class of each image.
        groups: group of each image.
        fractions: share of the images that each part takes, 0 <= fraction < 1, less than 1 together.
        seed: what the draw depends on.

    Returns:
        part of each group that was put aside; groups that are not in it stay where they were (training).

    Raises:
        ValueError: when a fraction is out of range, or their sum is not below 1.
    """
    for part, fraction in fractions.items():
        if not 0 <= fraction < 1:
            raise ValueError(f"{part}_fraction must be at least 0 and below 1, got {fraction}.")
    if sum(fractions.values()) >= 1:
        asked = ", ".join(f"{part}_fraction={fraction:g}" for part, fraction in fractions.items())
        raise ValueError(f"{asked} would leave nothing for training: their sum must be below 1.")
    sizes = Counter(groups)
    wanted = [(part, fraction) for part, fraction in fractions.items() if fraction > 0]
    part_of: dict[str, str] = {}
    for members in _groups_by_class(labels, groups).values():
        left = draw_subjects(members, seed)
        num_images = sum(sizes[group] for group in left)
        for index, (part, fraction) in enumerate(wanted):
            needed_later = len(wanted) - index  # one group for each part still to be served, and one for training
            taken = _take(left, sizes, fraction * num_images, needed_later)
            left = [group for group in left if group not in taken]
            part_of.update(dict.fromkeys(taken, part))
    return part_of


def _given_parts(cases: Sequence[IsicCase]) -> dict[str, str]:
    """Part of each group of which the source lists an image."""
    part_of: dict[str, str] = {}
    for part in reversed(_PARTS_BY_RANK):
        part_of.update({case.group: part for case in cases if case.listed_in == part})
    return part_of


def _count_classes(division: IsicDivision, classes: Sequence[str]) -> list[str]:
    remarks = []
    for part, cases in division.parts().items():
        if cases:
            counts = Counter(case.label for case in cases)
            lesions = len({case.lesion for case in cases})
            listed = ", ".join(f"{name} {counts[name]}" for name in classes)
            remarks.append(f"{part}: {len(cases)} images of {lesions} lesions ({listed})")
            absent = [name for name in classes if not counts[name]]
            if absent:
                remarks.append(f"{part} has no image of {', '.join(absent)}")
    return remarks


def _groups_by_class(labels: Sequence[str], groups: Sequence[str]) -> dict[str, list[str]]:
    counts: dict[str, Counter[str]] = {}
    for label, group in zip(labels, groups, strict=True):
        counts.setdefault(group, Counter())[label] += 1
    by_class: dict[str, list[str]] = {}
    for group, of_group in counts.items():
        most_common = min(of_group, key=lambda label: (-of_group[label], label))
        by_class.setdefault(most_common, []).append(group)
    return by_class


def _take(groups: Sequence[str], sizes: Mapping[str, int], target: float, needed_later: int) -> set[str]:
    """Groups in their order up to ``target`` images, passing over one that would overshoot by more than its half."""
    taken: set[str] = set()
    filled = 0
    for group in groups:
        if len(groups) - len(taken) > needed_later and filled + sizes[group] / 2 <= target:
            taken.add(group)
            filled += sizes[group]
    if not taken and len(groups) > needed_later:
        taken.add(min(groups, key=lambda group: sizes[group]))
    return taken
