from __future__ import annotations

from pathlib import Path

import pytest

from monai_proto.data.boxes.annotation import BoxAnnotation
from monai_proto.data.picture_files import PICTURE_SUFFIXES
from monai_proto.preparation.boxes.division import apply_split_table, divide_by_subject, parts_of


@pytest.mark.parametrize("suffix", ["", *PICTURE_SUFFIXES, ".TIFF"])
@pytest.mark.parametrize(("word", "part"), [("train", "training"), ("valid", "validation"), ("Testing", "test")])
def test_a_table_names_images_with_any_suffix_and_splits_with_any_word(
    tmp_path: Path, suffix: str, word: str, part: str
) -> None:
    name = f"images/a{suffix}" if suffix else "a"
    (tmp_path / "table.tsv").write_text(f"image\tlesion_id\tsplit\n{name}\tL1\t{word}\n")
    annotation = BoxAnnotation("a", tmp_path / "a.png", "a")
    assert apply_split_table([annotation], tmp_path / "table.tsv") == []
    assert (annotation.subject, annotation.split, annotation.problems) == ("L1", part, [])


def test_parts_hold_what_was_divided_and_nothing_else() -> None:
    annotations = [BoxAnnotation(name, Path(name), name, subject=name[0]) for name in ("a1", "a2", "b1", "c1", "d1")]
    assert all(not members for members in parts_of(annotations).values())
    assert "drawn with seed 0, by subject: validation 0.25" in divide_by_subject(annotations, 0.25, None, 0)
    parts = parts_of(annotations)
    assert sorted(one.case for members in parts.values() for one in members) == ["a1", "a2", "b1", "c1", "d1"]
    assert len({one.subject for one in parts["validation"]}) == 1
    assert not {one.subject for one in parts["validation"]} & {one.subject for one in parts["training"]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image,split\na,practice\n", r"t\.csv, line 2: split must be train, validation or test, got 'practice'"),
        ("image,split\na,\n", "line 2: split must be train, validation or test, got ''"),
        ("image,split\na.png,train\na.tiff,test\n", "line 3: a second row of a says something else"),
        ("image,age\na,3\n", r"must have a column image_id, image, case and one of split, .* got \['image', 'age'\]"),
        ("image,split,split\na,train,test\n", "has the column split 2 times"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        apply_split_table([], tmp_path / "t.csv")
