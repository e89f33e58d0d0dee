"""A dermoscopy image on its way from a source folder into a data list, and the source that it comes from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from monai_proto.preparation.image_case import ImageCase

__all__ = ["IsicCase", "IsicLayout", "IsicSource"]

IsicLayout = Literal["ham10000", "isic", "folders"]


@dataclass
class IsicCase(ImageCase):
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
        checksums, problems, notes: see :class:`monai_proto.data.case.Case`.
    """

    label: str | None = None
    lesion: str | None = None
    mask: str | None = None
    listed_in: str | None = None
    group: str = ""

    @property
    def files(self) -> list[str]:
        """The files that the case has."""
        return [file for file in (self.image, self.mask) if file]

    @property
    def why_left_out(self) -> list[str]:
        """Its problems, and what else was seen of it: a note may say what the image is."""
        return self.problems + self.notes

    @property
    def class_name(self) -> str:
        """
        The class of a case whose class is known.

        Raises:
            ValueError: when it is not.
        """
        if self.label is None:
            raise ValueError(f"case {self.case} has no label.")
        return self.label

    @property
    def lesion_id(self) -> str:
        """Its lesion; the case itself while nobody knows."""
        return self.lesion or self.case


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
