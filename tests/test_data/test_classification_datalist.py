from __future__ import annotations

import json
from pathlib import Path

import pytest

from monai_proto.data.classification_datalist import (
    class_counts,
    class_names,
    load_classification_datalist,
    write_classification_datalist,
)

PROPERTIES = {"name": "Toy", "description": "", "labels": {"0": "akiec", "1": "mel", "2": "nv"}}


def item(name: str, label: int, **more: str) -> dict:
    return {"image": f"images/{name}.jpg", "label": label, "image_id": name, "lesion_id": f"L{name}", **more}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    for name in "abcd":
        (tmp_path / "images" / f"{name}.jpg").touch()
    (tmp_path / "masks" / "a.png").touch()
    return tmp_path


def test_what_is_written_is_read_back_with_absolute_paths(folder: Path) -> None:
    outside = folder.parent / f"{folder.name}_outside.jpg"
    outside.touch()
    training = [item("a", 2, mask="masks/a.png"), {**item("b", 0), "image": str(outside)}]
    file = write_classification_datalist(folder, PROPERTIES, training, validation=[item("c", 2)])
    assert json.loads(file.read_text()) == {
        **PROPERTIES,
        "task": "classification",
        "training": training,
        "validation": [item("c", 2)],
    }
    for path in (folder, file):
        parts = load_classification_datalist(path)
        assert list(parts) == ["training", "validation", "test"]
        assert parts["training"] == [
            {**training[0], "image": str(folder / "images" / "a.jpg"), "mask": str(folder / "masks" / "a.png")},
            training[1],
        ]
        assert [len(items) for items in parts.values()] == [2, 1, 0]
        assert class_names(path) == ["akiec", "mel", "nv"]
    assert class_counts(parts["training"], 3) == [1, 0, 1]


def test_a_plain_item_gets_an_image_id_and_a_lesion_of_its_own(folder: Path) -> None:
    (folder / "a").mkdir()  # a folder of the name of an image id must not turn the id into a path
    content = {**PROPERTIES, "training": [{"image": "images/a.jpg", "label": 0}]}
    (folder / "dataset.json").write_text(json.dumps(content))
    (loaded,) = load_classification_datalist(folder)["training"]
    assert (loaded["image_id"], loaded["lesion_id"]) == ("a", "a")


def test_more_than_ten_classes_keep_the_order_of_their_numbers(folder: Path) -> None:
    labels = {str(index): f"class {index}" for index in reversed(range(12))}
    write_classification_datalist(folder, {**PROPERTIES, "labels": labels}, [item("a", 11)])
    assert class_names(folder) == [f"class {index}" for index in range(12)]


@pytest.mark.parametrize(
    ("training", "validation", "labels", "message"),
    [
        ([item("a", 3)], [], None, r"label of images/a.jpg in training must be an integer in 0 .. 2, got 3"),
        ([item("a", -1)], [], None, "got -1"),
        ([item("a", True)], [], None, "got True"),
        ([{**item("a", 1), "label": "mel"}], [], None, "got 'mel'"),
        ([{"label": 1}], [], None, "an item of training must have the path image"),
        ([{**item("a", 1), "mask": None}], [], None, "mask of an item of training must be a path"),
        ([item("a", 1)], [item("b", 1, lesion_id="La")], None, r"lesion La is in two parts: training and validation"),
        ([item("a", 1)], [item("a", 1)], None, "lesion La is in two parts"),
        ([item("a", 1)], [], {"1": "mel", "2": "nv"}, "labels must number the classes from 0"),
        ([item("a", 1)], [], ["mel", "nv"], "labels must number the classes from 0"),
        ([item("a", 1)], [], {}, "labels must number the classes from 0"),
    ],
)
def test_a_list_that_does_not_fit_is_neither_written_nor_read(
    folder: Path, training: list, validation: list, labels: dict | None, message: str
) -> None:
    properties = {**PROPERTIES, "labels": PROPERTIES["labels"] if labels is None else labels}
    with pytest.raises(ValueError, match=message):
        write_classification_datalist(folder, properties, training, validation)
    assert not (folder / "dataset.json").exists()
    content = {**properties, "training": training, "validation": validation}
    (folder / "dataset.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=message):
        load_classification_datalist(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not valid JSON"),
        ("[]", r"must be a JSON object, got \[\]"),
        (
            json.dumps({**PROPERTIES, "task": "segmentation", "training": []}),
            "task: must be 'classification', got 'segmentation'",
        ),
        (json.dumps(PROPERTIES), "has no list training"),
        (json.dumps({**PROPERTIES, "training": {}}), r"training: must be a list, got \{\}"),
        (json.dumps({**PROPERTIES, "training": []}), "has no items under training"),
    ],
)
def test_a_file_that_is_no_such_list_is_named(folder: Path, content: str, message: str) -> None:
    (folder / "dataset.json").write_text(content)
    with pytest.raises(ValueError, match=rf"dataset\.json.* {message}"):
        load_classification_datalist(folder)


def test_missing_files_and_parts_are_named(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"Data list .*dataset\.json does not exist"):
        load_classification_datalist(folder)
    write_classification_datalist(folder, PROPERTIES, [item("a", 1)], test=[item("z", 1)])
    with pytest.raises(ValueError, match=r"names 1 file\(s\) under test that do not exist: .*z\.jpg"):
        load_classification_datalist(folder)
    assert len(load_classification_datalist(folder, check_files=False)["test"]) == 1
    with pytest.raises(ValueError, match="has no items under validation"):
        load_classification_datalist(folder, required=("training", "validation"), check_files=False)
    with pytest.raises(ValueError, match="required must name parts among training, validation, test, got train"):
        load_classification_datalist(folder, required=("train",))


def test_counting_a_label_outside_of_the_classes_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"must be an integer in 0 .. 1, got .*'label': 2"):
        class_counts([{"label": 0}, {"label": 2}], 2)
