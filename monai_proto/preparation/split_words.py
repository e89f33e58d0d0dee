"""The words that tables and folders have for the parts of a split."""

from __future__ import annotations

__all__ = ["SPLIT_WORDS", "split_part"]

SPLIT_WORDS = {
    **dict.fromkeys(("train", "training"), "training"),
    **dict.fromkeys(("val", "valid", "validation"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}


def split_part(word: str) -> str:
    """
    The part of a data list, ``"training"``, ``"validation"`` or ``"test"``, that a word in any case of letters means.

    Raises:
        ValueError: when it means none.
    """
    part = SPLIT_WORDS.get(word.strip().lower())
    if part is None:
        raise ValueError(f"split must be train, validation or test, got {word!r}.")
    return part
