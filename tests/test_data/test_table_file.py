from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monai_proto.data.table_file import read_table, read_table_columns


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_columns_are_found_whatever_separates_them(tmp_path, delimiter, encoding):
    file = tmp_path / "a.csv"
    lines = [[" case ", "subject", ""], ["c1", " Zoë", "x"], [], ["c2"], ["c3", "p", "y", "one too many"]]
    file.write_text("\r\n".join(delimiter.join(line) for line in lines), encoding=encoding)
    table = read_table(file, "Subjects file")
    assert table.columns == ("case", "subject", "") == read_table_columns(file)
    cells = [{"case": "c1", "subject": "Zoë"}, {"case": "c2", "subject": ""}, {"case": "c3", "subject": "p"}]
    assert [row.cells for row in table.rows] == cells
    assert [row.line for row in table.rows] == [2, 4, 5]
    assert (table.find("patient", "subject"), table.find("age")) == ("subject", None)
    assert str(table.error(table.rows[1], "no.")) == f"Subjects file {file}, line 4: no."
    assert read_table(file, strip=False).rows[0]["subject"] == " Zoë"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b'a,b\n1,2\n3,"' + b"x" * 140_000,
            r"Table .*a\.csv, after line \d+: field larger than field limit \(131072\)",
        ),
        (b"a,b\n" + b"1,2\n" * 5000 + b"\xe4,3\n", r"Table .*a\.csv, after line \d+: 'utf-8' codec can't decode"),
        (b"\xe4,b\n1,2\n", r"Table .*a\.csv, after line 0: 'utf-8' codec can't decode"),
    ],
)
def test_what_no_table_can_be_names_the_file(tmp_path, content, message):
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_table(tmp_path / "a.csv")


def test_a_missing_file_an_empty_one_and_a_column_that_is_there_twice(tmp_path):
    with pytest.raises(ValueError, match=r"Key .*a\.csv does not exist"):
        read_table(tmp_path / "a.csv", "Key")
    (tmp_path / "a.csv").touch()
    assert (read_table(tmp_path / "a.csv").columns, read_table(tmp_path / "a.csv").rows) == ((), [])
    (tmp_path / "a.csv").write_text("case,subject,case\na,b,c\n")
    table = read_table(tmp_path / "a.csv")
    assert table.find("subject") == "subject"
    with pytest.raises(ValueError, match=r"Table .*a\.csv has the column case 2 times"):
        table.find("case")


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=8)


@settings(max_examples=50)
@given(rows=st.lists(st.tuples(CELLS, CELLS), max_size=6), delimiter=st.sampled_from(",;\t"))
def test_any_cells_come_back_as_a_writer_of_csv_wrote_them(tmp_path_factory, rows, delimiter):
    file = tmp_path_factory.mktemp("table") / "a.csv"
    stream = io.StringIO()
    csv.writer(stream, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows([("left", "right"), *rows])
    file.write_bytes(stream.getvalue().encode())
    assert [(row["left"], row["right"]) for row in read_table(file, strip=False).rows] == rows
