"""A case of a volume data set on its way from its source into a data list, and the source that it comes from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monai_proto.preparation.image_case import ImageCase

__all__ = ["VolumeCase", "VolumeFolder"]


@dataclass
class VolumeCase(ImageCase):
    """
    A case on its way from the folder into a data list; paths are relative to the folder, with forward slashes.

    Args:
        case: file name without folder and ``.nii.gz``; where files of two folders have the same name, their path.
        image: its image; None when there is none.
        label: its label map; None when there is none.
        listed_in: list of dataset.json that holds it (training, validation, test, unlabelled), or None; ``test`` as
            well for one of ``imagesTs`` that is not listed.
        subject: the patient, as dataset.json gives it, else None until somebody knows.
        checksums, problems, notes: see :class:`monai_proto.data.case.Case`.
    """

    label: str | None = None
    listed_in: str | None = None
    subject: str | None = None

    @property
    def files(self) -> list[str]:
        """The files that the case has."""
        return [file for file in (self.image, self.label) if file]

    @property
    def patient(self) -> str:
        """Its subject; the case itself while nobody knows."""
        return self.subject or self.case


@dataclass
class VolumeFolder:
    """
    What a folder holds.

    Args:
        root: the folder.
        properties: content of its dataset.json without the lists; empty when it has none.
        cases: listed cases in the order of the lists, then the others by name.
        remarks: what was ignored, and how much of it.
    """

    root: Path
    properties: dict[str, Any]
    cases: list[VolumeCase]
    remarks: list[str]
