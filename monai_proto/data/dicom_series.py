"""Makes a volume's grid of the objects of one series, or says why they make none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pooch
from monai.data.utils import orientation_ras_lps

from monai_proto.data.dicom_geometry import GeometryError, stack_slices
from monai_proto.data.dicom_header import FrameHeader, InstanceHeader
from monai_proto.data.dicom_transfer_syntax import is_decodable, transfer_syntax_name

__all__ = ["DicomSeries", "DicomSlice", "SeriesRejectedError", "assemble_series"]


class SeriesRejectedError(ValueError):
    """
    A series that cannot be used.

    Args:
        reasons: every reason that was found; none names a file or a person.
    """

    def __init__(self, reasons: Iterable[str]) -> None:
        self.reasons = tuple(reasons)
        super().__init__("; ".join(self.reasons))


@dataclass(frozen=True)
class DicomSlice:
    """
    One slice of a volume.

    Args:
        instance: the object that holds it.
        frame: index of its frame in that object, from 0.
    """

    instance: InstanceHeader
    frame: int

    @property
    def header(self) -> FrameHeader:
        """Place and scale of the slice."""
        return self.instance.frames[self.frame]


@dataclass(frozen=True)
class DicomSeries:
    """
    A series on a regular grid.

    Args:
        slices: in the order of their places along the slices' normal.
        affine_lps: indices (column, row, slice) to mm in DICOM's LPS+ coordinates (4, 4).
        notes: what its user should know.
        copies: files that hold an instance a second time; not used.
    """

    slices: tuple[DicomSlice, ...]
    affine_lps: np.ndarray
    notes: tuple[str, ...] = ()
    copies: tuple[str, ...] = ()

    @property
    def first(self) -> InstanceHeader:
        """The object of the first slice, for what all of them share."""
        return self.slices[0].instance

    @property
    def shape(self) -> tuple[int, int, int]:
        """Columns, rows, slices."""
        return self.first.columns, self.first.rows, len(self.slices)

    @property
    def affine(self) -> np.ndarray:
        """The same indices to mm in NIfTI's RAS+ coordinates (4, 4)."""
        return orientation_ras_lps(self.affine_lps)

    @property
    def instances(self) -> list[InstanceHeader]:
        """The objects, each once, in the order of their first slices."""
        return list({item.instance.sop_instance_uid: item.instance for item in self.slices}.values())


def assemble_series(headers: Sequence[InstanceHeader], keep_derived: bool = False, min_slices: int = 2) -> DicomSeries:
    """
    Check the objects of one series and put their slices in order.

    Args:
        headers: image objects with the same SeriesInstanceUID, in any order.
        keep_derived: take images that were computed from others (ImageType DERIVED) as well.
        min_slices: number of slices that a volume must have.

    Raises:
        SeriesRejectedError: with everything that is wrong.
    """
    headers, copies, reasons = _without_copies(headers)
    notes = [f"duplicated instances, each used once: {len(copies)} copies"] if copies else []
    first = headers[0]
    reasons += _mixed(headers)
    syntaxes = {header.transfer_syntax_uid for header in headers}
    reasons += [
        f"unsupported transfer syntax {transfer_syntax_name(uid)}" for uid in sorted(syntaxes) if not is_decodable(uid)
    ]
    if any(value.upper() == "LOCALIZER" for header in headers for value in header.image_type):
        reasons.append("localizer")
    derived = any(header.image_type[:1] == ("DERIVED",) for header in headers)
    if derived and not keep_derived:
        reasons.append("derived images (ImageType DERIVED): reformatted or computed from others")
    elif derived:
        notes.append("derived images (ImageType DERIVED)")
    if any(header.samples != 1 for header in headers):
        reasons.append("colour images")
    slices = [DicomSlice(header, index) for header in headers for index in range(len(header.frames))]
    unplaced = [item for item in slices if not (item.header.position and item.header.orientation)]
    if unplaced:
        reasons.append(f"{len(unplaced)} of {len(slices)} slices without position or orientation")
    elif any(item.header.spacing is None for item in slices):
        reasons.append("slices without pixel spacing")
    elif len(slices) < min_slices:
        reasons.append(f"{len(slices)} slice{'s' * (len(slices) != 1)}, expected at least {min_slices}")
    else:
        try:
            stack = stack_slices(*zip(*(_place(item.header) for item in slices), strict=True))
        except GeometryError as error:
            reasons.append(str(error))
    if reasons:
        raise SeriesRejectedError(dict.fromkeys(reasons))
    if abs(first.gantry_tilt) > 0.1:
        notes.append(f"the scanner says gantry tilt {first.gantry_tilt:g}, but slices are not sheared")
    return DicomSeries(tuple(slices[index] for index in stack.order), stack.affine, tuple(notes), tuple(copies))


def _place(frame: FrameHeader) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]:
    return frame.position, frame.orientation, frame.spacing


def _without_copies(headers: Sequence[InstanceHeader]) -> tuple[list[InstanceHeader], list[str], list[str]]:
    """Exports hold the same object twice now and then; two objects with one identifier are another matter."""
    kept: dict[str, InstanceHeader] = {}
    copies, conflicts = [], 0
    for header in sorted(headers, key=lambda header: header.file):
        first = kept.setdefault(header.sop_instance_uid or header.file, header)
        if first is not header:
            if pooch.file_hash(first.file) == pooch.file_hash(header.file):
                copies.append(header.file)
            else:
                conflicts += 1
    reasons = [f"{conflicts} instances share the identifier of another one but differ from it"] if conflicts else []
    return list(kept.values()), copies, reasons


def _mixed(headers: Sequence[InstanceHeader]) -> list[str]:
    reasons = []
    persons = zip(*(header.patient + header.person for header in headers), strict=True)
    if any(len(set(values) - {""}) > 1 for values in persons) or len({header.patient for header in headers}) > 1:
        reasons.append("two patients in one series")
    for what, values in {
        "studies": {header.study_uid for header in headers},
        "frames of reference": {header.frame_of_reference_uid for header in headers},
        "modalities": {header.modality for header in headers},
        "image sizes": {(header.columns, header.rows) for header in headers},
    }.items():
        if len(values) > 1:
            reasons.append(f"slices of {len(values)} different {what} in one series")
    return reasons
