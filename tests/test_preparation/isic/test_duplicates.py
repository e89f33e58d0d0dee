from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from monai_proto.preparation.image_hash import HASH_BITS
from monai_proto.preparation.isic.case import IsicCase
from monai_proto.preparation.isic.checks import ImageHashes
from monai_proto.preparation.isic.duplicates import group_cases


def case(name: str, lesion: str | None = None, label: str = "nv", part: str | None = None) -> IsicCase:
    return IsicCase(name, f"images/{name}.jpg", label, lesion, listed_in=part)


def look(seed: int, flipped: int = 0) -> np.ndarray:
    bits = np.random.default_rng(seed).random(HASH_BITS) < 0.5
    bits[:flipped] = ~bits[:flipped]
    return bits


def hashes(cases: list[IsicCase], **other: ImageHashes) -> dict[str, ImageHashes]:
    """Every image its own pixels and look, but for those in ``other``."""
    return {c.image: other.get(c.case, ImageHashes(c.case, look(index))) for index, c in enumerate(cases)}


def test_lesions_are_groups_and_an_unknown_one_is_its_image() -> None:
    cases = [case("a", "L2"), case("b"), case("c", "L2")]
    remarks = group_cases(cases, hashes(cases))
    assert [c.group for c in cases] == ["L2", "b", "L2"]
    assert [c.lesion for c in cases] == ["L2", "b", "L2"]
    assert "images without a known lesion, each taken as a lesion of its own: 1 of 3" in remarks


def test_of_copies_the_held_out_one_stays_and_their_lesions_are_joined() -> None:
    cases = [case("a", "L1", part="training"), case("b", "L2", part="test"), case("c", "L1"), case("d", "L3")]
    same = ImageHashes("same", look(1))
    remarks = group_cases(cases, hashes(cases, a=same, b=same))
    assert cases[0].problems == ["duplicate: the same pixels as images/b.jpg, which stays"]
    assert cases[1].problems == []
    assert [c.group for c in cases] == ["L1", "L1", "L1", "L3"]  # c shows the lesion that a and b show
    assert "copies (same pixels, same label) left out: 1" in remarks


def test_of_copies_one_with_a_mask_stays() -> None:
    cases = [case("a"), case("b")]
    cases[1].mask = "masks/b.png"
    same = ImageHashes("same", look(1))
    group_cases(cases, hashes(cases, a=same, b=same))
    assert [bool(c.problems) for c in cases] == [True, False]


def test_copies_with_conflicting_labels_all_go() -> None:
    cases = [case("a"), case("b", label="mel"), case("c"), case("d")]
    same = ImageHashes("same", look(1))
    remarks = group_cases(cases, hashes(cases, a=same, b=same, c=same))
    assert cases[0].problems == [
        "conflicting labels: nv here, but the same pixels as images/b.jpg (mel), images/c.jpg (nv)"
    ]
    assert [bool(c.problems) for c in cases] == [True, True, True, False]
    assert "copies with conflicting labels, all left out: 3" in remarks


def test_near_duplicates_stay_and_are_joined_with_all_images_of_their_lesions() -> None:
    cases = [case("a", "L1"), case("b", "L2", label="mel"), case("c", "L2"), case("d", "L3"), case("e", "L3")]
    near = {"a": ImageHashes("a", look(9)), "b": ImageHashes("b", look(9, flipped=12))}
    near |= {"d": ImageHashes("d", look(8)), "e": ImageHashes("e", look(8, flipped=5))}
    remarks = group_cases(cases, hashes(cases, **near), max_distance=12)
    assert [c.group for c in cases] == ["L1", "L1", "L1", "L3", "L3"]
    assert cases[0].notes == [
        "near-duplicate of b of lesion L2 (12 of 256 bits differ), whose label is mel and not nv: kept on one side"
    ]
    assert not any(c.problems for c in cases)
    assert not cases[3].notes  # within a lesion there is nothing to do
    assert any("1 pairs within a lesion, 1 across lesions" in remark for remark in remarks)

    for c in cases:
        c.notes.clear()
    group_cases(cases, hashes(cases, **near), max_distance=11)
    assert [c.group for c in cases] == ["L1", "L2", "L2", "L3", "L3"]
    remarks = group_cases(cases, hashes(cases, **near), max_distance=None)
    assert not any(c.notes for c in cases)
    assert not any("near-duplicates" in remark for remark in remarks)


def test_an_image_without_contrast_is_near_to_none() -> None:
    cases = [case("a"), case("b")]
    group_cases(cases, {c.image: ImageHashes(c.case, None) for c in cases})
    assert [c.group for c in cases] == ["a", "b"]


def test_nothing_is_no_error() -> None:
    (remark,) = group_cases([], {})
    assert "0 pairs within a lesion, 0 across lesions" in remark


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(0, 5)), min_size=1, max_size=15))
@settings(max_examples=100, deadline=None)
def test_groups_are_what_is_reachable(drawn: list[tuple[int, int, int]]) -> None:
    cases = [case(f"i{index}", f"L{lesion}") for index, (lesion, _, _) in enumerate(drawn)]
    made = {c.image: ImageHashes(f"p{p}", look(100 + h)) for c, (_, p, h) in zip(cases, drawn, strict=True)}
    group_cases(cases, made, max_distance=20)
    kept = [not c.problems for c in cases]

    def linked(a: int, b: int) -> bool:
        near = drawn[a][2] == drawn[b][2] and kept[a] and kept[b]
        return drawn[a][0] == drawn[b][0] or drawn[a][1] == drawn[b][1] or near

    for start in range(len(cases)):
        reached, border = {start}, [start]
        while border:
            here = border.pop()
            new = {other for other in range(len(cases)) if linked(here, other)} - reached
            reached |= new
            border += new
        assert {index for index, c in enumerate(cases) if c.group == cases[start].group} == reached
