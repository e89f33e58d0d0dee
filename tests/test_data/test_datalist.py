from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monai_proto.data.datalist import load_semi_supervised_datalist, read_datalist, write_datalist

PROPERTIES = {"name": "Toy", "description": "", "modality": {"0": "MRI"}, "labels": {"0": "background", "1": "organ"}}


def _item(case: str, patient: str | None = None, labelled: bool = True) -> dict[str, Any]:
    item: dict[str, Any] = {"image": f"imagesTr/{case}.nii.gz"}
    if labelled:
        item["label"] = f"labelsTr/{case}.nii.gz"
    if patient is not None:
        item["patient_id"] = patient
    return item


def _touch(folder: Path, *lists: Sequence[Any]) -> None:
    """The data list's files: the reader looks whether they exist, not what is in them."""
    for item in (item for items in lists for item in items):
        files = [item] if isinstance(item, str) else [item[key] for key in ("image", "label") if key in item]
        for file in files:
            (folder / file).parent.mkdir(exist_ok=True)
            (folder / file).touch()


def _raw(folder: Path, training: Sequence[Any], **lists: Sequence[Any]) -> Path:
    """A folder as the Decathlon ships it."""
    (folder / "dataset.json").write_text(json.dumps({**PROPERTIES, "training": list(training), **lists}))
    _touch(folder, training, *lists.values())
    return folder


def _cases(items: Sequence[dict[str, str]]) -> list[str]:
    return [Path(item["image"]).name.removesuffix(".nii.gz") for item in items]


def test_written_list_reads_back(tmp_path: Path) -> None:
    training = [{**_item("a", "p1"), "sha256": {"image": "12", "label": "34"}}, _item("b", "p2")]
    validation, unlabelled = [_item("c", "p3")], [_item("d", "p1", labelled=False)]
    file = write_datalist(tmp_path, PROPERTIES, training, unlabelled, validation, num_labelled=1)
    content = json.loads(file.read_text())
    assert content == {
        **PROPERTIES,
        "numTraining": 2,
        "numLabelled": 1,
        "numTest": 0,
        "training": training,
        "unlabelled": unlabelled,
        "validation": validation,
    }
    read = read_datalist(tmp_path)
    assert read["labels"] == PROPERTIES["labels"]
    assert read["test"] == []
    assert read["training"][0] == {
        "image": str(tmp_path / "imagesTr" / "a.nii.gz"),
        "label": str(tmp_path / "labelsTr" / "a.nii.gz"),
        "patient_id": "p1",
        "sha256": {"image": "12", "label": "34"},
    }
    assert read_datalist(file) == read


def test_old_lists_among_the_properties_are_not_carried_over(tmp_path: Path) -> None:
    write_datalist(tmp_path, {**PROPERTIES, "test": ["imagesTs/x.nii.gz"]}, [_item("a")])
    assert read_datalist(tmp_path)["test"] == []


@pytest.mark.parametrize(
    ("training", "options", "message"),
    [
        ([{"image": "a.nii.gz"}], {}, "label of an item of training must be a path relative"),
        ([{"image": "/data/a.nii.gz", "label": "b.nii.gz"}], {}, "got '/data/a.nii.gz'"),
        ([_item("a")], {"num_labelled": 2}, r"num_labelled must be in 0 \.\. 1"),
        (
            [_item("a", "p")],
            {"validation": [_item("b", "p")]},
            "patient p is on two sides.*a in training and b in valid",
        ),
        ([_item("a", "p")], {"test": [_item("b", "p")]}, "patient p is on two sides"),
        ([_item("a")], {"unlabelled": [_item("b", "p")], "validation": [_item("c", "p")]}, "b in training and c in"),
    ],
)
def test_what_a_list_must_not_hold(tmp_path: Path, training: list, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        write_datalist(tmp_path, PROPERTIES, training, **options)
    assert not list(tmp_path.iterdir())


def test_patient_that_is_also_a_folder_stays_a_patient(tmp_path: Path) -> None:
    (tmp_path / "p1").mkdir()
    _raw(tmp_path, [_item("a", "p1"), {**_item("b"), "patient_id": 7}])
    assert [item["patient_id"] for item in read_datalist(tmp_path)["training"]] == ["p1", "7"]


def test_written_list_keeps_its_split(tmp_path: Path) -> None:
    training, validation = [_item(c, c) for c in "abcd"], [_item("e", "e")]
    unlabelled, test = [_item("f", "a", labelled=False)], [_item("g", "g")]
    write_datalist(tmp_path, PROPERTIES, training, unlabelled, validation, test)
    _touch(tmp_path, training, unlabelled, validation, test)
    datalist = load_semi_supervised_datalist(tmp_path, num_labelled=2)
    assert _cases(datalist["labelled"]) == ["a", "b"]
    assert _cases(datalist["unlabelled"]) == ["c", "d", "f"]  # a labelled test case is held out
    assert _cases(datalist["validation"]) == ["e"]
    assert datalist["labelled"][0].keys() == {"image", "label", "patient_id"}
    assert all(item.keys() == {"image", "patient_id"} for item in datalist["unlabelled"])
    assert all(os.path.isabs(item["image"]) for items in datalist.values() for item in items)


def test_test_images_without_label_are_unlabelled(tmp_path: Path) -> None:
    _raw(tmp_path, [_item(c) for c in "abcde"], test=["./imagesTs/t1.nii.gz", {"image": "imagesTs/t2.nii.gz"}])
    datalist = load_semi_supervised_datalist(tmp_path, num_labelled=None)
    assert _cases(datalist["unlabelled"]) == ["t1", "t2"]
    assert len(datalist["labelled"]) == 4
    assert len(datalist["validation"]) == 1
    assert datalist["unlabelled"][0]["image"] == str(tmp_path / "imagesTs" / "t1.nii.gz")


def test_empty_test_list_and_listed_apple_doubles_are_no_cases(tmp_path: Path) -> None:
    _raw(tmp_path, [_item("a"), _item("._a"), _item("b")], test=[])
    assert _cases(load_semi_supervised_datalist(tmp_path, -1, validation_fraction=0)["labelled"]) == ["a", "b"]


def test_labelled_are_the_first_of_the_order_or_a_draw_of_whole_patients(tmp_path: Path) -> None:
    cases = [_item(f"c{i:02d}", f"p{i // 2}") for i in range(20)]
    _raw(tmp_path, cases)
    first = load_semi_supervised_datalist(tmp_path, 4, validation_fraction=0)
    assert _cases(first["labelled"]) == ["c00", "c01", "c02", "c03"]
    draws = [load_semi_supervised_datalist(tmp_path, 4, validation_fraction=0, labelled_draw=d) for d in (0, 0, 1)]
    assert draws[0] == draws[1] != draws[2]
    for draw in draws:
        assert sorted(_cases(draw["labelled"] + draw["unlabelled"])) == [f"c{i:02d}" for i in range(20)]
        assert not {i["patient_id"] for i in draw["labelled"]} & {i["patient_id"] for i in draw["unlabelled"]}


def test_seed_decides_who_is_put_aside(tmp_path: Path) -> None:
    _raw(tmp_path, [_item(f"c{i:02d}") for i in range(20)])
    splits = [_cases(load_semi_supervised_datalist(tmp_path, 3, seed=seed)["validation"]) for seed in (0, 0, 1)]
    assert splits[0] == splits[1] != splits[2]
    assert [len(split) for split in splits] == [4, 4, 4]


def test_subjects_csv_joins_cases_of_a_patient(tmp_path: Path) -> None:
    _raw(tmp_path, [_item(f"c{i}") for i in range(8)])
    (tmp_path / "subjects.csv").write_text("case,subject\n" + "".join(f"c{i},s{i % 2}\n" for i in range(8)))
    datalist = load_semi_supervised_datalist(tmp_path, None)
    assert len(datalist["validation"]) == 4
    assert len({item["patient_id"] for item in datalist["validation"]}) == 1


def test_subjects_csv_must_know_every_case(tmp_path: Path) -> None:
    _raw(tmp_path, [_item("a"), _item("b")])
    (tmp_path / "subjects.csv").write_text("case,subject\na,1\n")
    with pytest.raises(ValueError, match=r"subjects\.csv beside .* has no row for case b"):
        load_semi_supervised_datalist(tmp_path, 1)


def test_unlabelled_image_of_a_validation_patient_is_kept_out_of_training(tmp_path: Path) -> None:
    training = [_item(f"c{i}", f"p{i}") for i in range(5)]
    unlabelled = [_item(f"u{i}", f"p{i}", labelled=False) for i in range(5)]
    _raw(tmp_path, training, unlabelled=unlabelled)
    datalist = load_semi_supervised_datalist(tmp_path, 1)
    (aside,) = datalist["validation"]
    assert len(datalist["unlabelled"]) == 3 + 4
    assert aside["patient_id"] not in {item["patient_id"] for item in datalist["unlabelled"]}


@settings(max_examples=60, deadline=None)
@given(
    patients=st.lists(st.sampled_from("ABCDEFGH"), min_size=4, max_size=24).filter(lambda p: len(set(p)) > 2),
    extra=st.lists(st.sampled_from("ABCDEFGHIJ"), max_size=6),
    fraction=st.sampled_from([0.0, 0.1, 0.3, 0.5]),
    seed=st.integers(0, 100),
)
def test_no_patient_crosses_the_split_and_no_case_is_used_twice(
    patients: list[str], extra: list[str], fraction: float, seed: int
) -> None:
    with TemporaryDirectory() as folder:
        root = _raw(
            Path(folder),
            [_item(f"c{i}", patient) for i, patient in enumerate(patients)],
            unlabelled=[_item(f"u{i}", patient, labelled=False) for i, patient in enumerate(extra)],
        )
        datalist = load_semi_supervised_datalist(root, 1, validation_fraction=fraction, seed=seed)
    training = {item["patient_id"] for part in ("labelled", "unlabelled") for item in datalist[part]}
    validation = {item["patient_id"] for item in datalist["validation"]}
    assert not training & validation
    used = _cases([item for items in datalist.values() for item in items])
    assert len(used) == len(set(used))
    assert {f"c{i}" for i in range(len(patients))} <= set(used)
    assert bool(validation) == bool(fraction)


@pytest.mark.parametrize(
    ("num_labelled", "draw", "message"),
    [
        (0, None, r"num_labelled must be in 1 \.\. 3.*got 0"),
        (-2, None, "got -2"),
        (4, None, r"num_labelled must be in 1 \.\. 3.*got 4"),
        (4, 0, "got 4"),
    ],
)
def test_number_of_labelled_cases_out_of_range(
    tmp_path: Path, num_labelled: int, draw: int | None, message: str
) -> None:
    _raw(tmp_path, [_item(c) for c in "abc"])
    with pytest.raises(ValueError, match=message):
        load_semi_supervised_datalist(tmp_path, num_labelled, validation_fraction=0, labelled_draw=draw)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"dataset\.json does not exist"),
        ("{", r"dataset\.json is not valid JSON"),
        ("[]", r"must be a JSON object, got \[\]"),
        ('{"name": "x"}', "has no list training"),
        ('{"training": []}', "empty list training"),
        ('{"training": [{"image": "a.nii.gz"}]}', r"training\[0\]: has no text label"),
        ('{"training": [{"image": ["a", "b"], "label": "c"}]}', r"training\[0\]\.image: must be a text"),
    ],
)
def test_data_list_that_is_wrong(tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / "dataset.json").write_text(content)
    with pytest.raises(ValueError, match=message):
        load_semi_supervised_datalist(tmp_path, 1)


@pytest.mark.parametrize("file", ["imagesTr/b.nii.gz", "labelsTr/b.nii.gz", "imagesTs/t.nii.gz"])
def test_listed_file_that_does_not_exist_is_named(tmp_path: Path, file: str) -> None:
    _raw(tmp_path, [_item("a"), _item("b")], test=["imagesTs/t.nii.gz"])
    (tmp_path / file).unlink()
    with pytest.raises(ValueError, match=rf"names 1 file\(s\) under \w+ that do not exist: .*{file}"):
        load_semi_supervised_datalist(tmp_path, 1, validation_fraction=0)


def test_given_list_with_a_patient_on_both_sides_is_refused(tmp_path: Path) -> None:
    _raw(tmp_path, [_item("a", "p1"), _item("b", "p2")], validation=[_item("c", "p2")])
    with pytest.raises(ValueError, match="patient p2 is on two sides of the split: b in training and c in validation"):
        load_semi_supervised_datalist(tmp_path, 1)


def test_one_patient_cannot_be_split(tmp_path: Path) -> None:
    _raw(tmp_path, [_item("a", "p"), _item("b", "p")])
    with pytest.raises(ValueError, match=r"validation_fraction=0\.2 of 1 subject"):
        load_semi_supervised_datalist(tmp_path, 1)


@pytest.mark.real_data
def test_real_list_with_validation_and_subjects(real_data_root: Path) -> None:
    datalist = load_semi_supervised_datalist(real_data_root / "hippocampus", 10)
    assert {part: len(items) for part, items in datalist.items()} == {
        "labelled": 10,
        "unlabelled": 161,
        "validation": 39,
    }
    assert _cases(datalist["labelled"])[:2] == ["hippocampus_003", "hippocampus_004"]
    assert datalist["labelled"][0]["patient_id"] == datalist["labelled"][1]["patient_id"] == "2"


@pytest.mark.real_data
def test_real_raw_list_keeps_the_published_order(real_data_root: Path) -> None:
    datalist = load_semi_supervised_datalist(real_data_root / "left_atrium", 8, validation_fraction=0)
    published = json.loads((real_data_root / "left_atrium" / "dataset.json").read_text())["training"]
    assert _cases(datalist["labelled"]) == _cases(published[:8])
    assert len(datalist["unlabelled"]) == 72
    split = load_semi_supervised_datalist(real_data_root / "left_atrium", 8)
    assert {part: len(items) for part, items in split.items()} == {"labelled": 8, "unlabelled": 56, "validation": 16}
