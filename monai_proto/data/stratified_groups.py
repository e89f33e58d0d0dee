"""Divides labelled images by class and by group: every part has its share of each class, no group is in two parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from monai_proto.data.subject_split import draw_subjects

__all__ = ["draw_stratified_groups"]


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
