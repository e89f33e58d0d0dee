from __future__ import annotations

import itertools

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from monai_proto.preparation.volumes.case import VolumeCase
from monai_proto.preparation.volumes.division import divide_cases

_CASES = st.lists(
    st.tuples(st.sampled_from("ABCDEFGH"), st.booleans(), st.sampled_from([None, "training", "validation", "test"])),
    min_size=3,
    max_size=30,
)


def _case(index: int, subject: str, labelled: bool = True, listed_in: str | None = None) -> VolumeCase:
    label = f"labelsTr/c{index}.nii.gz" if labelled else None
    return VolumeCase(f"c{index}", f"imagesTr/c{index}.nii.gz", label, listed_in, subject)


def _names(cases: list[VolumeCase]) -> list[str]:
    return [case.case for case in cases]


@settings(max_examples=100, deadline=None)
@given(_CASES, st.sampled_from([None, 0.0, 0.2, 0.4]), st.sampled_from([None, 0.0, 0.2]), st.integers(0, 20))
def test_no_subject_crosses_and_every_case_has_one_place(
    drawn: list, validation_fraction: float | None, test_fraction: float | None, seed: int
) -> None:
    cases = [_case(index, *values) for index, values in enumerate(drawn)]
    try:
        division = divide_cases(cases, validation_fraction, test_fraction, seed=seed)
    except ValueError as error:
        if "two sides" not in str(error) and "would leave none" not in str(error):
            raise
        assume(False)
    sides = [division.training + division.unlabelled, division.validation, division.test]
    for one, other in itertools.combinations(sides, 2):
        assert not {case.subject for case in one} & {case.subject for case in other}
    placed = [case.case for part in division.parts().values() for case in part]
    assert sorted(placed + [case.case for case in cases if case.problems]) == sorted(_names(cases))
    assert all(case.label is None for case in division.unlabelled)
    assert all(case.label for case in division.training + division.validation + division.test)


def test_labelled_cases_are_whole_subjects_and_come_first() -> None:
    cases = [_case(index, f"s{index // 2}") for index in range(20)]
    division = divide_cases(cases, validation_fraction=0.2, num_labelled=4, seed=1)
    labelled, rest = division.training[:4], division.training[4:]
    assert division.num_labelled == 4
    assert len({case.subject for case in labelled}) == 2
    assert not {case.subject for case in labelled} & {case.subject for case in rest}
    again = divide_cases(list(cases), validation_fraction=0.2, num_labelled=4, seed=1)
    assert _names(again.training) == _names(division.training)
    other = divide_cases(cases, validation_fraction=0.2, num_labelled=4, seed=2)
    assert _names(other.training) != _names(division.training)


def test_order_is_kept_on_demand() -> None:
    cases = [_case(index, f"s{index}") for index in range(10)]
    division = divide_cases(cases, validation_fraction=0.0, num_labelled=3, keep_order=True)
    assert _names(division.training) == _names(cases)
    assert _names(division.parts()["training, labelled"]) == ["c0", "c1", "c2"]


def test_given_split_is_kept_and_unlisted_cases_follow_their_subject() -> None:
    cases = [
        _case(0, "A", listed_in="training"),
        _case(1, "B", listed_in="validation"),
        _case(2, "C", listed_in="test"),
        _case(3, "B"),
        _case(4, "D"),
        _case(5, "E", labelled=False),
        _case(6, "B", labelled=False),
    ]
    division = divide_cases(cases)
    assert _names(division.training) == ["c0", "c4"]
    assert _names(division.validation) == ["c1", "c3"]
    assert _names(division.test) == ["c2"]
    assert _names(division.unlabelled) == ["c5"]
    assert cases[6].problems == ["image without label of subject B, whose labelled cases are in validation"]
    assert division.describe() == (
        "split as dataset.json gives it; subjects: 3 in training, 1 in validation, 1 in test"
    )


def test_a_fraction_draws_anew_though_a_split_is_given() -> None:
    cases = [_case(index, f"s{index}", listed_in="validation") for index in range(10)]
    assert len(divide_cases(cases, validation_fraction=0.3).validation) == 3


def test_given_test_is_kept_where_only_validation_is_to_be_drawn() -> None:
    cases = [_case(index, f"s{index}", listed_in="test" if index < 2 else None) for index in range(12)]
    division = divide_cases(cases)
    assert _names(division.test) == ["c0", "c1"]
    assert len(division.validation) == 2
    assert division.origin == "drawn by subject with seed 0, test as given"


def test_given_split_that_divides_a_subject_is_refused() -> None:
    cases = [_case(0, "A", listed_in="training"), _case(1, "A", listed_in="validation"), _case(2, "B")]
    with pytest.raises(ValueError, match=r"dataset\.json .*patient A is on two sides"):
        divide_cases(cases)


@pytest.mark.parametrize("keep_order", [True, False])
def test_more_labelled_than_there_are(keep_order: bool) -> None:
    cases = [_case(index, f"s{index}") for index in range(10)]
    with pytest.raises(ValueError, match=r"num_labelled must be in 1 \.\. 8, .* got 9"):
        divide_cases(cases, num_labelled=9, keep_order=keep_order)
