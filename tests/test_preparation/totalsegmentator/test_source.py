from __future__ import annotations

from pathlib import Path

import pytest

from monai_proto.preparation.totalsegmentator.source import read_split


@pytest.mark.parametrize("delimiter", [";", ",", "\t"])
def test_the_split_of_meta_csv(tmp_path: Path, delimiter: str) -> None:
    rows = [
        ("image_id", "age", "split"),
        ("s1", "4", "train"),
        ("s2", "", "valid"),
        ("s3", "1", "Val"),
        ("s4", "", "test"),
    ]
    (tmp_path / "meta.csv").write_text("\n".join(delimiter.join(row) for row in rows), encoding="utf-8-sig")
    parts = {"s1": "training", "s2": "validation", "s3": "validation", "s4": "test"}
    assert read_split(tmp_path / "meta.csv") == parts


def test_no_split_and_an_unknown_one(tmp_path: Path) -> None:
    assert read_split(tmp_path / "meta.csv") == {}
    (tmp_path / "meta.csv").write_text("image_id;age\ns1;40\n")
    assert read_split(tmp_path / "meta.csv") == {}
    (tmp_path / "meta.csv").write_text("image_id;split\ns1;train\ns2;some\n")
    with pytest.raises(ValueError, match=r"meta\.csv, line 3: split must be train, validation or test, got 'some'"):
        read_split(tmp_path / "meta.csv")
