from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from monai_proto.data.boxes.annotation import BoxAnnotation
from monai_proto.data.case import Case, CopyDropper
from monai_proto.preparation.isic.case import IsicCase
from monai_proto.preparation.volumes.case import VolumeCase


def test_what_every_case_has_stands_in_none_of_its_places():
    cases = [
        VolumeCase("a", "image", "label", notes=["n"]),
        IsicCase("a", "image", mask="label", notes=["n"]),
        BoxAnnotation("a", Path("image"), "a", mask=Path("label"), notes=["n"]),
    ]
    for case in cases:
        assert isinstance(case, Case)
        assert (case.case, case.files, case.notes, case.problems, case.checksums) == (
            *("a", ["image", "label"], ["n"]),
            *([], {}),
        )
        case.problems.append("p")
    assert [case.why_left_out for case in cases] == [["p"], ["p", "n"], ["p"]]


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["", "x", "y", "z"])), max_size=12))
def test_of_each_content_the_first_file_stays(listed):
    cases = [VolumeCase(str(index), f"{file}.nii") for index, (file, _) in enumerate(listed)]
    copies = CopyDropper[VolumeCase](lambda case: case.image, lambda case, first: f"{case.case} as {first.case}")
    dropped = [copies.drop(case, content) for case, (_, content) in zip(cases, listed, strict=True)]
    for index, (file, content) in enumerate(listed):
        earlier = [other for other in range(index) if content and listed[other][1] == content]
        is_copy = bool(earlier) and listed[earlier[0]][0] != file
        assert dropped[index] == is_copy
        assert cases[index].problems == ([f"{index} as {earlier[0]}"] if is_copy else [])
