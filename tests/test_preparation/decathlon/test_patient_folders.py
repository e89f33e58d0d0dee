from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monai_proto.preparation.decathlon.patient_folders import gather_matching_files, match_files, path_names


def touch(root: Path, *files: str) -> Path:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()
    return root


def test_cases_of_the_same_file_name_have_their_paths_for_names(tmp_path: Path) -> None:
    files = [f"patient{p}/{name}.nii.gz" for p in "AB" for name in ("t1", "seg")]
    root = touch(tmp_path / "source", *files, "patientC/t1.nii.gz", "patientD/seg.nii.gz", "patientA/._t1.nii.gz")
    folder = gather_matching_files(root, "*/t1.nii.gz", "*/seg.nii.gz", tmp_path / "work")
    found = [(case.case, case.subject, case.image, case.label) for case in folder.cases]
    assert found == [
        ("patientA_t1", "patientA", "imagesTr/patientA_t1.nii.gz", "labelsTr/patientA_t1.nii.gz"),
        ("patientB_t1", "patientB", "imagesTr/patientB_t1.nii.gz", "labelsTr/patientB_t1.nii.gz"),
        ("patientC_t1", "patientC", "imagesTr/patientC_t1.nii.gz", None),
        ("patientD_seg", None, None, "labelsTr/patientD_seg.nii.gz"),
    ]
    assert folder.cases[2].notes == ["image without label: used as unlabelled"]
    assert folder.cases[3].problems == ["label without image"]
    assert (tmp_path / "work/labelsTr/patientB_t1.nii.gz").resolve() == root / "patientB/seg.nii.gz"


def test_wildcards_pair_files_and_the_first_folder_is_the_patient(tmp_path: Path) -> None:
    root = touch(tmp_path / "source", *(f"p1/day{d}/{n}{i}.nii" for d in (1, 2) for i in (1, 2) for n in ("ct", "seg")))
    folder = gather_matching_files(root, "*/*/ct?.nii", "*/*/seg?.nii", tmp_path / "work")
    assert {case.subject for case in folder.cases} == {"p1"}
    pairs = {case.case: (tmp_path / "work" / str(case.label)).resolve().relative_to(root) for case in folder.cases}
    assert pairs["p1_day2_ct1"] == Path("p1/day2/seg1.nii")
    assert len(pairs) == 4
    by_name = gather_matching_files(root, "p1/day1/ct*.nii", "p1/day1/seg*.nii", tmp_path / "more")
    assert [(case.case, case.subject) for case in by_name.cases] == [("p1_day1_ct1", None), ("p1_day1_ct2", None)]
    deep = touch(tmp_path / "deep", "a/b/t1.nii", "a/b/seg.nii", "t1.nii", "seg.nii")
    cases = gather_matching_files(deep, "**/t1.nii", "**/seg.nii", tmp_path / "deeper").cases
    assert [(case.case, case.subject, bool(case.label)) for case in cases] == [
        ("a_b_t1", "a", True),
        ("t1", None, True),
    ]


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        ("*/t1.nii.gz", "labels/seg.nii.gz", "must have the same wildcards in the same order"),
        ("a/t1.nii.gz", "a/seg.nii.gz", "must have the same wildcards"),
        ("*/t2.nii.gz", "*/seg.nii.gz", r"--images '\*/t2\.nii\.gz' fits no \.nii\.gz or \.nii file"),
        ("*/t1.nii.gz", "*/mask.nii.gz", "--labels .* fits no"),
        ("*/t1.nii.gz", "*/t1.nii.gz", r"both name a/t1\.nii\.gz"),
    ],
)
def test_patterns_that_do_not_fit(tmp_path: Path, images: str, labels: str, message: str) -> None:
    root = touch(tmp_path / "source", "a/t1.nii.gz", "a/seg.nii.gz", "labels/seg.nii.gz")
    with pytest.raises(ValueError, match=message):
        gather_matching_files(root, images, labels, tmp_path / "work")
    with pytest.raises(ValueError, match="nowhere is not a folder"):
        gather_matching_files(tmp_path / "nowhere", images, labels, tmp_path / "work")


def test_dots_and_brackets_of_a_pattern_are_letters(tmp_path: Path) -> None:
    root = touch(tmp_path, "a/t1.nii.gz", "a/t1xnii.gz", "[b]/t1.nii.gz", "a/c/t1.nii.gz")
    assert list(match_files(root, "*/t1.nii.gz", "--images").values()) == ["[b]/t1.nii.gz", "a/t1.nii.gz"]
    assert list(match_files(root, "[b]/*.nii.gz", "--images").values()) == ["[b]/t1.nii.gz"]


PARTS = st.sampled_from(["a", "b", "a_b", "A", "_", "t1"])
FILES = st.lists(
    st.tuples(st.lists(PARTS, max_size=3), PARTS, st.sampled_from([".nii", ".nii.gz"])).map(
        lambda path: "/".join([*path[0], path[1] + path[2]])
    ),
    unique=True,
)


@given(FILES)
def test_no_two_files_share_a_name(files):
    names = path_names(files)
    assert list(names) == files
    assert len({name.lower() for name in names.values()}) == len(files)
    assert not any("/" in name for name in names.values())
    for file, name in names.items():
        plain = str(PurePosixPath(file)).replace("/", "_").removesuffix(".gz").removesuffix(".nii")
        assert name.startswith(plain)
