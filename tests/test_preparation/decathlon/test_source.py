from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from monai_proto.preparation.decathlon.source import find_decathlon_root, scan_decathlon_folder
from monai_proto.preparation.volumes.case import VolumeCase


def _folder(root: Path, *files: str, content: dict[str, Any] | None = None) -> Path:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()
    if content is not None:
        (root / "dataset.json").write_text(json.dumps(content))
    return root


def _by_name(root: Path) -> dict[str, VolumeCase]:
    cases = scan_decathlon_folder(root).cases
    assert len({case.case for case in cases}) == len(cases)
    return {case.case: case for case in cases}


@pytest.mark.parametrize(("images", "labels"), [("imagesTr", "labelsTr"), ("images", "labels")])
def test_pairs_by_name_without_a_data_list(tmp_path: Path, images: str, labels: str) -> None:
    _folder(
        tmp_path, f"{images}/b.nii.gz", f"{images}/a.nii.gz", f"{images}/c.nii", f"{labels}/a.nii", f"{labels}/d.nii.gz"
    )
    cases = _by_name(tmp_path)
    assert list(cases) == ["a", "b", "c", "d"]
    assert (cases["a"].image, cases["a"].label) == (f"{images}/a.nii.gz", f"{labels}/a.nii")
    assert cases["b"].notes == ["image without label: used as unlabelled"]
    assert cases["d"].problems == ["label without image"]
    assert cases["d"].files == [f"{labels}/d.nii.gz"]


def test_side_files_are_ignored_and_counted(tmp_path: Path) -> None:
    _folder(tmp_path, "imagesTr/a.nii.gz", "imagesTr/._a.nii.gz", "labelsTr/a.nii.gz", "labelsTr/._a.nii.gz")
    _folder(tmp_path, "imagesTr/Thumbs.db", content={"training": [{"image": "./imagesTr/._a.nii.gz", "label": "x"}]})
    folder = scan_decathlon_folder(tmp_path)
    assert [case.files for case in folder.cases] == [["imagesTr/a.nii.gz", "labelsTr/a.nii.gz"]]
    assert folder.remarks == [
        "ignored side files of macOS (AppleDouble, ._*): 2",
        "ignored, as no NIfTI files: imagesTr/Thumbs.db",
    ]


def test_listed_cases_keep_their_order_and_list(tmp_path: Path) -> None:
    _folder(
        tmp_path,
        *(f"imagesTr/{c}.nii.gz" for c in "abc"),
        *(f"labelsTr/{c}.nii.gz" for c in "abc"),
        "imagesTs/t.nii.gz",
        content={
            "name": "Toy",
            "training": [{"image": "./imagesTr/b.nii.gz", "label": "./labelsTr/b.nii.gz", "patient_id": 5}],
            "validation": [{"image": "imagesTr/a.nii.gz", "label": "labelsTr/a.nii.gz"}],
            "test": ["./imagesTs/t.nii.gz"],
        },
    )
    folder = scan_decathlon_folder(tmp_path)
    assert [(case.case, case.listed_in, case.subject) for case in folder.cases] == [
        ("b", "training", "5"),
        ("a", "validation", None),
        ("t", "test", None),
        ("c", None, None),
    ]
    assert folder.properties == {"name": "Toy"}
    assert all(not case.problems and not case.notes for case in folder.cases)


def test_incomplete_and_wrong_lists(tmp_path: Path) -> None:
    _folder(
        tmp_path,
        *(f"imagesTr/{c}.nii.gz" for c in ("found", "lost_label", "twice", "aside")),
        *(f"labelsTr/{c}.nii.gz" for c in ("found", "twice", "aside", "no_image")),
        content={
            "training": [
                {"image": "imagesTr/found.nii.gz"},
                {"image": "imagesTr/lost_label.nii.gz", "label": "labelsTr/lost_label.nii.gz"},
                {"image": "imagesTr/no_image.nii.gz", "label": "labelsTr/no_image.nii.gz"},
                {"image": "../outside.nii.gz", "label": "labelsTr/outside.nii.gz"},
                {"image": ["one.nii.gz", "two.nii.gz"]},
                {"image": "imagesTr/twice.nii.gz", "label": "labelsTr/twice.nii.gz"},
            ],
            "unlabelled": [{"image": "imagesTr/aside.nii.gz"}],
        },
    )
    cases = _by_name(tmp_path)
    assert cases["found"].label == "labelsTr/found.nii.gz"
    assert cases["found"].notes == ["label labelsTr/found.nii.gz is not what dataset.json lists, found by its name"]
    assert cases["lost_label"].label is None
    assert not cases["lost_label"].problems
    assert "does not exist: used as unlabelled" in cases["lost_label"].notes[0]
    assert cases["no_image"].problems == ["image imagesTr/no_image.nii.gz is listed in dataset.json but does not exist"]
    assert cases["outside"].problems == ["image ../outside.nii.gz lies outside of the folder"]
    assert cases["training[4]"].problems == ["entry of dataset.json names no single image file"]
    assert cases["aside"].label is None
    assert "is not used: dataset.json lists the image without one" in cases["aside"].notes[0]
    assert not cases["twice"].problems


def test_case_that_is_listed_twice_is_used_once(tmp_path: Path) -> None:
    item = {"image": "imagesTr/a.nii.gz", "label": "labelsTr/a.nii.gz"}
    _folder(tmp_path, *item.values(), content={"training": [item], "validation": [item]})
    first, second = scan_decathlon_folder(tmp_path).cases
    assert not first.problems
    assert second.problems[0] == "imagesTr/a.nii.gz is listed twice in dataset.json: training and validation"


def test_two_images_of_one_name(tmp_path: Path) -> None:
    _folder(tmp_path, "imagesTr/a.nii", "imagesTr/a.nii.gz", "labelsTr/a.nii.gz")
    first, second = scan_decathlon_folder(tmp_path).cases
    assert first.files == ["imagesTr/a.nii", "labelsTr/a.nii.gz"]
    assert second.problems == ["a second image of the same name, beside imagesTr/a.nii"]


def test_two_labels_of_one_name(tmp_path: Path) -> None:
    _folder(tmp_path, "imagesTr/a.nii.gz", "labelsTr/a.nii", "labelsTr/a.nii.gz")
    first, second = scan_decathlon_folder(tmp_path).cases
    assert first.files == ["imagesTr/a.nii.gz", "labelsTr/a.nii"]
    assert second.problems == ["a second label of the same name, beside labelsTr/a.nii"]


def test_labelled_images_of_the_test_folder_are_test_cases(tmp_path: Path) -> None:
    _folder(
        tmp_path,
        "imagesTr/a.nii.gz",
        "labelsTr/a.nii.gz",
        "imagesTs/b.nii.gz",
        "imagesTs/c.nii.gz",
        "labelsTs/b.nii.gz",
    )
    cases = _by_name(tmp_path)
    assert [(name, case.listed_in, bool(case.label)) for name, case in cases.items()] == [
        ("a", None, True),
        ("b", "test", True),
        ("c", "test", False),
    ]
    assert not cases["c"].notes


def test_root_is_the_folder_or_the_only_one_in_it(tmp_path: Path) -> None:
    _folder(tmp_path, "Task99_Toy/imagesTr/a.nii.gz", ".hidden/x")
    assert find_decathlon_root(tmp_path) == tmp_path / "Task99_Toy"
    assert find_decathlon_root(tmp_path / "Task99_Toy") == tmp_path / "Task99_Toy"
    with pytest.raises(ValueError, match="does not exist"):
        find_decathlon_root(tmp_path / "nowhere")
    (tmp_path / "second").mkdir()
    with pytest.raises(ValueError, match=r"holds neither dataset\.json nor a folder imagesTr or images"):
        find_decathlon_root(tmp_path)


@pytest.mark.parametrize(("text", "message"), [("{", "is not valid JSON"), ("[]", "must be a JSON object, got")])
def test_data_list_that_cannot_be_read(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "dataset.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        scan_decathlon_folder(tmp_path)
