from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monai_proto.data.json_file import read_json, require_shape

SCHEMA = {
    "type": "object",
    "required": ["training"],
    "properties": {
        "training": {
            "type": "array",
            "items": {"type": "object", "required": ["image"], "properties": {"image": {"type": "string"}}},
        },
        "task": {"const": "boxes"},
        "test": {"type": ["array", "null"]},
    },
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_byte_order_mark_is_no_part_of_the_content(tmp_path, encoding):
    (tmp_path / "a.json").write_text('{"training": [], "name": "Zoë", "id": 9223372036854775807}', encoding=encoding)
    content = read_json(tmp_path / "a.json", "List", SCHEMA)
    assert content == {"training": [], "name": "Zoë", "id": 2**63 - 1}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"{", r"List .*a\.json is not valid JSON: Expecting"),
        (b'{"name": "\xe4"}', r"List .*a\.json is not valid JSON: 'utf-8' codec"),
        (b'{"a":' * 200_000, r"List .*a\.json is not valid JSON: it is nested too deeply"),
        (b'{"id": 9223372036854775808}', r"not valid JSON: the integer 9223372036854775808 is beyond 64 bits"),
        (b'{"id": -' + b"7" * 5000 + b"}", r"not valid JSON: the integer -7{19}\.\.\. is beyond 64 bits"),
        (b"[]", r"List .*a\.json must be a JSON object, got \[\]"),
        (b"null", r"must be a JSON object, got None"),
        (b"{}", r"List .*a\.json has no list training\."),
        (b'{"training": {}}', r"a\.json, training: must be a list, got \{\}"),
        (b'{"training": [{"image": "x"}, {"label": "y"}]}', r"training\[1\]: has no text image, got \{'label': 'y'\}"),
        (b'{"training": [{"image": ["x"]}]}', r"training\[0\]\.image: must be a text, got \['x'\]"),
        (b'{"training": [], "task": "other"}', r"task: must be 'boxes', got 'other'"),
        (b'{"training": [], "test": 3}', r"test: must be a list, got 3"),
        (b'{"training": "' + b"x" * 500 + b'"}', r"must be a list, got 'x{30,40}\.\.\.x{30,40}'"),
        (
            b'{"training": ' + b"[" * 500 + b"]" * 500 + b"}",
            r"training\[0\]: must be a JSON object, got \[\[\[\.\.\.\]\]\]",
        ),
    ],
)
def test_what_is_wrong_is_said_with_the_file_and_the_place(tmp_path, text, message):
    (tmp_path / "a.json").write_bytes(text)
    with pytest.raises(ValueError, match=message):
        read_json(tmp_path / "a.json", "List", SCHEMA)


def test_a_missing_file_says_what_writes_one(tmp_path):
    with pytest.raises(ValueError, match=r"List .*a\.json does not exist; prepare\.py writes one\."):
        read_json(tmp_path / "a.json", "List", if_missing="; prepare.py writes one")
    with pytest.raises(ValueError, match=r"^/.*a\.json does not exist\.$"):
        read_json(tmp_path / "a.json")


LEAVES = st.none() | st.booleans() | st.integers(-(2**63) + 1, 2**63 - 1) | st.floats(allow_nan=False) | st.text()
ITEMS = LEAVES | st.dictionaries(st.sampled_from(["image", "label"]), st.text() | LEAVES)
CONTENT = st.lists(LEAVES) | st.fixed_dictionaries(
    {},
    optional={
        "training": st.lists(ITEMS, max_size=3) | LEAVES,
        "task": st.just("boxes") | LEAVES,
        "test": st.lists(LEAVES, max_size=2) | LEAVES,
    },
)


@settings(max_examples=50)
@given(content=CONTENT)
def test_reads_what_was_written_and_a_shape_refuses_or_takes_without_another_error(tmp_path_factory, content):
    file = tmp_path_factory.mktemp("json") / "a.json"
    file.write_text(json.dumps(content), encoding="utf-8")
    assert read_json(file) == content
    fits = isinstance(content, dict) and isinstance(content.get("training"), list)
    fits = fits and all(isinstance(item, dict) and isinstance(item.get("image"), str) for item in content["training"])
    fits = fits and content.get("task", "boxes") == "boxes" and isinstance(content.get("test"), list | None)
    if fits:
        require_shape(content, SCHEMA, "content")
    else:
        with pytest.raises(ValueError, match=r"^content"):
            require_shape(content, SCHEMA, "content")
