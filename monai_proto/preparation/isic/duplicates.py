"""Finds copies and near-duplicates among dermoscopy images, and which images must stay on one side of a split."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from monai_proto.data.case import CopyDropper
from monai_proto.preparation.image_hash import HASH_BITS, near_duplicate_pairs
from monai_proto.preparation.isic.case import IsicCase
from monai_proto.preparation.isic.checks import ImageHashes

__all__ = ["DEFAULT_HASH_DISTANCE", "group_cases"]

# of 256 bits; on HAM10000 the first false pair of different lesions differs in 36
DEFAULT_HASH_DISTANCE = 34
# the copy that stays is the one whose removal would cost a held-out part an image
_KEPT_FIRST = {"test": 0, "validation": 1, "training": 2, None: 3}


def group_cases(
    cases: Sequence[IsicCase], hashes: Mapping[str, ImageHashes], max_distance: int | None = DEFAULT_HASH_DISTANCE
) -> list[str]:
    """
    Leave out copies and set the ``group`` of every case: what is linked by lesion, copy or look is one group.

    Of images with the same pixels and the same label one stays, first of all one of the given test part; where the
    labels disagree, none does. Near-duplicates stay, with a note where they are of different lesions.

    Args:
        cases: usable cases; ``problems``, ``notes`` and ``group`` are set, and ``lesion`` where it is not known.
        hashes: hashes of each case's image by its file.
        max_distance: bits of 256 in which near-duplicates may differ; None looks for none.

    Returns:
        remarks for the report.
    """
    remarks = _name_lesions(cases)
    links = _links_of_equal(case.lesion_id for case in cases)
    links += _links_of_equal(hashes[case.image_file].pixels for case in cases)
    remarks += _leave_out_copies(cases, hashes)
    if max_distance is not None:
        pairs = near_duplicate_pairs([hashes[case.image_file].look for case in cases], max_distance)
        pairs = [pair for pair in pairs if not (cases[pair[0]].problems or cases[pair[1]].problems)]
        remarks += _note_near_duplicates(cases, pairs, max_distance)
        links += [(first, second) for first, second, _ in pairs]
    _set_groups(cases, links)
    return remarks


def _name_lesions(cases: Sequence[IsicCase]) -> list[str]:
    unknown = [case for case in cases if case.lesion is None]
    for case in unknown:
        case.lesion = case.case
    if not unknown:
        return []
    return [f"images without a known lesion, each taken as a lesion of its own: {len(unknown)} of {len(cases)}"]


def _leave_out_copies(cases: Iterable[IsicCase], hashes: Mapping[str, ImageHashes]) -> list[str]:
    same_pixels: dict[str, list[IsicCase]] = {}
    for case in sorted(cases, key=lambda case: (_KEPT_FIRST[case.listed_in], case.mask is None)):
        same_pixels.setdefault(hashes[case.image_file].pixels, []).append(case)
    copies = CopyDropper[IsicCase](
        lambda case: case.image, lambda _, first: f"duplicate: the same pixels as {first.image}, which stays"
    )
    removed = conflicting = 0
    for pixels, same in same_pixels.items():
        if len({case.label for case in same}) == 1:
            removed += sum([copies.drop(case, pixels) for case in same])
            continue
        conflicting += len(same)
        for case in same:
            others = ", ".join(f"{other.image} ({other.label})" for other in same if other is not case)
            case.problems.append(f"conflicting labels: {case.label} here, but the same pixels as {others}")
    remarks = [f"copies (same pixels, same label) left out: {removed}"] if removed else []
    return remarks + ([f"copies with conflicting labels, all left out: {conflicting}"] if conflicting else [])


def _note_near_duplicates(
    cases: Sequence[IsicCase], pairs: Sequence[tuple[int, int, int]], max_distance: int
) -> list[str]:
    across = 0
    for first, second, distance in pairs:
        if cases[first].lesion == cases[second].lesion:
            continue
        across += 1
        for case, other in ((cases[first], cases[second]), (cases[second], cases[first])):
            label = "" if case.label == other.label else f", whose label is {other.label} and not {case.label}"
            case.notes.append(
                f"near-duplicate of {other.case} of lesion {other.lesion} ({distance} of {HASH_BITS} bits differ)"
                f"{label}: kept on one side"
            )
    return [
        f"near-duplicates (at most {max_distance} of {HASH_BITS} bits of the perceptual hash differ): "
        f"{len(pairs) - across} pairs within a lesion, {across} across lesions, kept on one side of the split"
    ]


def _links_of_equal(values: Iterable[str]) -> list[tuple[int, int]]:
    """Each index with the first index of the same value."""
    first: dict[str, int] = {}
    return [(first.setdefault(value, index), index) for index, value in enumerate(values)]


def _set_groups(cases: Sequence[IsicCase], links: Sequence[tuple[int, int]]) -> None:
    if not cases:
        return
    ends = np.array(links).T
    shape = (len(cases), len(cases))
    _, component = connected_components(coo_array((np.ones(len(links)), tuple(ends)), shape), directed=False)
    names: dict[int, str] = {}
    for case, index in zip(cases, component, strict=True):
        # the least name: the draw does not depend on the order of the images
        names[index] = min(names.get(index, case.lesion_id), case.lesion_id)
    for case, index in zip(cases, component, strict=True):
        case.group = names[index]
