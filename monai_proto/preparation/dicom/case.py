"""A DICOM series on its way from a tree into a data list."""

from __future__ import annotations

from dataclasses import dataclass, field

from monai_proto.preparation.dicom.checks import ConvertedSeries
from monai_proto.preparation.dicom.pseudonyms import KeyRow
from monai_proto.preparation.volumes.case import VolumeCase

__all__ = ["SeriesCase", "series_case"]


@dataclass
class SeriesCase(VolumeCase):
    """
    A series under its pseudonym, whose image and label are converted files.

    Args:
        row: its pseudonyms, and what they stand for.
        tree_files: its files of the tree, in words.
        converted: what became of it.
        modality: such as CT.
    """

    row: KeyRow = field(kw_only=True)
    tree_files: list[str] = field(kw_only=True)
    converted: ConvertedSeries = field(kw_only=True)
    modality: str = field(kw_only=True)

    @property
    def why_left_out(self) -> list[str]:
        """Its problems, and what else was seen of it."""
        return self.problems + self.notes

    def report_files(self, with_names: bool) -> list[str]:
        """
        The files that a report names.

        Args:
            with_names: whether it may name those of the tree, whose names may tell who the patient is.
        """
        if with_names:
            return [*self.tree_files, *([] if self.problems else self.converted.labels)]
        return [] if self.problems else self.files


def series_case(row: KeyRow, tree_files: list[str], converted: ConvertedSeries, modality: str) -> SeriesCase:
    """A converted series as a case; see :class:`SeriesCase`."""
    return SeriesCase(
        row.case,
        image=f"imagesTr/{row.case}.nii.gz",
        label=f"labelsTr/{row.case}.nii.gz" if converted.labels else None,
        subject=row.patient,
        checksums=dict(converted.checksums),
        problems=list(converted.problems),
        notes=list(converted.notes),
        row=row,
        tree_files=tree_files,
        converted=converted,
        modality=modality,
    )
