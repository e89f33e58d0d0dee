"""A case on its way from a source into a data list, whatever it is of, and how copies among cases are left out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

__all__ = ["Case", "CopyDropper"]


@dataclass
class Case:
    """
    What every preparation knows of a case, and what its report writes.

    Args:
        case: unique name of the case.
        checksums: SHA-256 of the files by key (image, label, mask), once they were read.
        problems: why the case is left out; empty for one that can be used.
        notes: what its user should know.
    """

    case: str
    checksums: dict[str, str] = field(default_factory=dict, kw_only=True)
    problems: list[str] = field(default_factory=list, kw_only=True)
    notes: list[str] = field(default_factory=list, kw_only=True)

    @property
    def files(self) -> list[str]:
        """The files that the case has, as a report names them."""
        return []

    @property
    def why_left_out(self) -> list[str]:
        """What a report says of a case with problems."""
        return self.problems


AnyCase = TypeVar("AnyCase", bound=Case)


class CopyDropper(Generic[AnyCase]):
    """
    Gives a problem to cases whose content an earlier case has, one at a time, so that none need stay in memory.

    Args:
        image_of: what tells that two cases are of the same file, and so no copies of each other.
        message: the problem of a case, given the case and the one that stays.
    """

    def __init__(self, image_of: Callable[[AnyCase], Any], message: Callable[[AnyCase, AnyCase], str]) -> None:
        self._image_of, self._message = image_of, message
        self._first_with: dict[str, AnyCase] = {}

    def drop(self, case: AnyCase, content_hash: str | None) -> bool:
        """
        Args:
            case: the case.
            content_hash: the same for copies; None or empty where it is not known: nothing is a copy of it.

        Returns:
            whether the case was a copy, and has a problem now.
        """
        first = self._first_with.setdefault(content_hash, case) if content_hash else case
        if first is case or self._image_of(first) == self._image_of(case):
            return False
        case.problems.append(self._message(case, first))
        return True
