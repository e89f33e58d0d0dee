from __future__ import annotations

import pytest

from monai_proto.preparation.split_words import split_part


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("train", "Training "), "training"),
        (("val", "valid", "VALIDATION"), "validation"),
        (("test", " testing"), "test"),
    ],
)
def test_words_for_a_part(words, part):
    assert {split_part(word) for word in words} == {part}


@pytest.mark.parametrize("word", ["", "practice", "tests"])
def test_other_words_are_refused(word):
    with pytest.raises(ValueError, match=f"split must be train, validation or test, got {word!r}"):
        split_part(word)
