from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monai_proto.preparation.isic.case import IsicCase
from monai_proto.preparation.isic.division import divide_isic_cases


def cases_of(*groups: tuple[str, str, str | None], size: int = 1) -> list[IsicCase]:
    """Cases of (group, label, part given by the source)."""
    return [
        IsicCase(f"{group}-{index}-{repeat}", "image.jpg", label, group, listed_in=part, group=group)
        for index, (group, label, part) in enumerate(groups)
        for repeat in range(size)
    ]


def many(count: int, part: str | None, prefix: str = "g") -> list[IsicCase]:
    return cases_of(*((f"{prefix}{index}", "nv" if index % 4 else "mel", part) for index in range(count)))


def sizes(division) -> dict[str, int]:
    return {part: len(members) for part, members in division.parts().items()}


def test_without_a_given_split_both_parts_are_drawn_by_class() -> None:
    division = divide_isic_cases(many(40, None), ["mel", "nv"], validation_fraction=0.1, test_fraction=0.2)
    assert sizes(division) == {"training": 28, "validation": 4, "test": 8}
    assert division.remarks == [
        "split: validation (0.1), test (0.2) drawn by class and lesion with seed 0",
        "training: 28 images of 28 lesions (mel 7, nv 21)",
        "validation: 4 images of 4 lesions (mel 1, nv 3)",
        "test: 8 images of 8 lesions (mel 2, nv 6)",
    ]
    assert sizes(divide_isic_cases(many(40, None), ["mel", "nv"])) == {"training": 32, "validation": 8, "test": 0}


def test_a_given_test_part_stays_and_validation_is_drawn_from_training() -> None:
    cases = many(40, "training") + many(8, "test", "t")
    division = divide_isic_cases(cases, ["mel", "nv"], validation_fraction=0.1)
    assert sizes(division) == {"training": 36, "validation": 4, "test": 8}
    assert all(case.group.startswith("t") for case in division.test)
    assert division.remarks[0] == (
        "split: test, training as the source gives it; validation (0.1) drawn by class and lesion with seed 0"
    )
    assert not any(case.notes for case in cases)


def test_a_given_validation_part_stays() -> None:
    cases = many(8, "training") + many(4, "validation", "v") + many(4, "test", "t")
    assert sizes(divide_isic_cases(cases, ["mel", "nv"])) == {"training": 8, "validation": 4, "test": 4}
    with pytest.raises(ValueError, match="--validation-fraction does not fit: the source gives a part validation"):
        divide_isic_cases(cases, ["mel", "nv"], validation_fraction=0.1)
    with pytest.raises(ValueError, match="--test-fraction does not fit: the source gives a part test"):
        divide_isic_cases(cases, ["mel", "nv"], test_fraction=0.1)


def test_a_group_on_two_given_sides_goes_to_the_held_out_one() -> None:
    cases = many(8, "training") + cases_of(("x", "nv", "training"), ("x", "nv", "test"), ("x", "nv", None))
    cases += cases_of(("y", "nv", "validation"), ("y", "nv", "training"), ("z", "mel", "validation"))
    division = divide_isic_cases(cases, ["mel", "nv"])
    assert [case.group for case in division.test] == ["x"] * 3
    assert [case.group for case in division.validation] == ["y", "y", "z"]
    assert [case.notes for case in cases if case.notes] == [
        ["moved from training to test, where an image of its lesion or look is"],
        ["moved from training to validation, where an image of its lesion or look is"],
    ]
    assert "images moved so that no lesion and no near-duplicate is on two sides: 2" in division.remarks


def test_a_class_too_rare_for_every_part_is_remarked() -> None:
    cases = many(20, None) + cases_of(("only", "df", None), size=3)
    division = divide_isic_cases(cases, ["df", "mel", "nv", "vasc"])
    assert [case.group for case in division.training if case.label == "df"] == ["only"] * 3
    assert "validation has no image of df, vasc" in division.remarks
    assert "training has no image of vasc" in division.remarks


def test_nothing_left_for_training() -> None:
    with pytest.raises(ValueError, match="No image is left for training"):
        divide_isic_cases(many(4, "test"), ["mel", "nv"])


@given(
    st.lists(
        st.tuples(st.integers(0, 9), st.sampled_from("abc"), st.sampled_from(["training", "test", None])),
        min_size=1,
        max_size=30,
    ),
    st.sampled_from([0.0, 0.2, 0.5]),
)
@settings(max_examples=100, deadline=None)
def test_every_case_is_in_one_part_and_no_group_in_two(drawn: list[tuple], fraction: float) -> None:
    cases = cases_of(*((f"g{group}", label, part) for group, label, part in drawn))
    try:
        division = divide_isic_cases(cases, "abc", validation_fraction=fraction)
    except ValueError:
        assert {case.group for case in cases} == {case.group for case in cases if case.listed_in == "test"}
        return
    placed = [case.case for members in division.parts().values() for case in members]
    assert sorted(placed) == sorted(case.case for case in cases)
    groups = [{case.group for case in members} for members in division.parts().values()]
    assert sum(map(len, groups)) == len(set.union(*groups))
    assert all(case in division.test for case in cases if case.listed_in == "test")
