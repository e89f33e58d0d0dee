from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monai_proto.data.subject_split import (
    draw_subjects,
    draw_whole_subjects,
    read_subjects_csv,
    require_disjoint_subjects,
    split_subjects,
)

_SUBJECTS = st.lists(st.sampled_from([f"s{i}" for i in range(12)]), min_size=1, max_size=40)


@given(_SUBJECTS, st.integers(0, 5))
def test_draw_holds_every_subject_once_and_does_not_depend_on_order(subjects: list[str], seed: int) -> None:
    drawn = draw_subjects(subjects, seed)
    assert sorted(drawn) == sorted(set(subjects))
    assert drawn == draw_subjects(sorted(subjects), seed)


def test_draw_is_the_same_in_every_release() -> None:
    assert draw_subjects(map(str, range(8)), seed=0) == ["4", "0", "6", "7", "2", "1", "5", "3"]


def test_a_new_subject_does_not_reshuffle_the_others() -> None:
    before = draw_subjects(map(str, range(20)), seed=3)
    after = draw_subjects(map(str, range(21)), seed=3)
    assert [subject for subject in after if subject != "20"] == before


def test_seeds_draw_differently() -> None:
    assert len({tuple(draw_subjects(map(str, range(20)), seed)) for seed in range(5)}) == 5


@given(_SUBJECTS, st.integers(0, 3))
def test_split_takes_the_rounded_share_and_leaves_some(subjects: list[str], seed: int) -> None:
    count = len(set(subjects))
    expected = max(1, round(0.25 * count))
    if expected >= count:
        with pytest.raises(ValueError, match="would leave none for training"):
            split_subjects(subjects, {"validation": 0.25}, seed)
        return
    part_of = split_subjects(subjects, {"validation": 0.25}, seed)
    assert set(part_of) <= set(subjects)
    assert list(part_of.values()) == ["validation"] * expected


def test_split_in_two_parts() -> None:
    part_of = split_subjects(map(str, range(20)), {"validation": 0.2, "test": 0.1}, seed=0)
    assert sorted(part_of.values()) == ["test"] * 2 + ["validation"] * 4


@pytest.mark.parametrize("fraction", [-0.1, 1.0])
def test_split_fraction_out_of_range(fraction: float) -> None:
    with pytest.raises(ValueError, match="validation_fraction must be at least 0 and below 1"):
        split_subjects(["a", "b"], {"validation": fraction}, seed=0)


def test_split_of_nothing_puts_nothing_aside() -> None:
    assert split_subjects(["a"], {"validation": 0.0, "test": 0.0}, seed=0) == {}


@given(_SUBJECTS, st.integers(1, 40), st.integers(0, 3))
def test_whole_subjects_are_drawn_or_the_number_is_refused(subjects: list[str], num_cases: int, seed: int) -> None:
    try:
        drawn = draw_whole_subjects(subjects, num_cases, seed)
    except ValueError:
        # slow oracle: with single cases about, only a number out of range may be refused
        assert num_cases > len(subjects) or len(set(subjects)) < len(subjects)
        return
    assert len(drawn) == len(set(drawn)) == num_cases
    owners = {subjects[index] for index in drawn}
    assert sorted(drawn) == [index for index, owner in enumerate(subjects) if owner in owners]


def test_whole_subjects_that_cannot_fill_the_number() -> None:
    with pytest.raises(ValueError, match=r"num_labelled=3 cannot be filled with whole subjects.*take 2"):
        draw_whole_subjects(["a", "a", "b", "b"], 3, seed=0)


def test_disjoint_subjects_names_the_culprit() -> None:
    parts = {"training": [("case_1", "p1"), ("case_2", "p2")], "validation": [("case_3", "p1")]}
    with pytest.raises(ValueError, match=r"list\.json: patient p1 .* case_1 in training and case_3 in validation"):
        require_disjoint_subjects(parts, "list.json")
    require_disjoint_subjects({"training": [("case_1", "p1"), ("case_2", "p1")], "test": []}, "list.json")


def test_subjects_csv_of_a_spreadsheet(tmp_path) -> None:
    file = tmp_path / "subjects.csv"
    file.write_bytes("\ufeffsubject,case,age\r\nZoë ,case_1,40\r\n7,case_2,\r\n".encode())
    assert read_subjects_csv(file) == {"case_1": "Zoë", "case_2": "7"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("case,patient\na,1\n", "must have the columns case and subject"),
        ("", "must have the columns case and subject"),
        ("case,subject\na,1\nb,\n", "line 3: case or subject is empty"),
        ("case,subject\na,1\na,2\n", "gives case a two subjects: 1, 2"),
    ],
)
def test_subjects_csv_that_is_wrong(tmp_path, text: str, message: str) -> None:
    file = tmp_path / "subjects.csv"
    file.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_subjects_csv(file)


def test_subjects_csv_that_is_missing(tmp_path) -> None:
    with pytest.raises(ValueError, match=r"subjects\.csv does not exist"):
        read_subjects_csv(tmp_path / "subjects.csv")
