"""A dermoscopy image on its way from a source folder into a data list, and the source that it comes from."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

__all__ = ["IsicCase", "IsicLayout", "IsicSource"]

IsicLayout = Literal["ham10000", "isic", "folders"]


@dataclass
class IsicCase:
    """
    An image with what is known of it; paths are relative to the source folder, with forward slashes.

    Args:
        case: id of the image.
        image: its file; None when there is none.
        label: name of its class; None when it is not known.
        lesion: id of its lesion; None when it is not known.
        mask: its lesion mask; None when there is none.
        listed_in: part of the split that the source gives (training, validation, test); None when it gives none.
        group: images of one group stay on one side of a split: those of a lesion, and near-duplicates.
        checksums: SHA-256 of the files by key (image, mask), once they were read.
        problems: why the case is left out; empty for one that can be used.
        notes: what its user should know.
    """

    case: str
    image: str | None = None
    label: str | None = None
    lesion: str | None = None
    mask: str | None = None
    listed_in: str | None = None
    group: str = ""
    checksums: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def files(self) -> list[str]:
        """The files that the case has."""
        return [file for file in (self.image, self.mask) if file]


@dataclass
class IsicSource:
    """
    What a source folder holds.

    Args:
        root: the folder.
        layout: how it is laid out.
        classes: names of the classes, in the order of their labels.
        cases: rows of the tables in their order, then images without a row.
        remarks: what was ignored, and what was guessed.
    """

    root: Path
    layout: IsicLayout
    classes: list[str]
    cases: list[IsicCase]
    remarks: list[str]
