"""Makes a volume's grid of the objects of a series, slices in order by where they lie, or says why they make none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pooch
from monai.data.utils import orientation_ras_lps

from monai_proto.dicom.header import FrameHeader, InstanceHeader
from monai_proto.dicom.packages import is_decodable, transfer_syntax_name

__all__ = [
    "DicomSeries",
    "DicomSlice",
    "GeometryError",
    "SeriesRejectedError",
    "SliceStack",
    "assemble_series",
    "stack_slices",
]

_DIRECTION_TOLERANCE = 1e-3  # headers round direction cosines to four digits and more
_STEP_TOLERANCE = 0.01  # of the slice spacing, and at least the following
_POSITION_TOLERANCE = 0.01  # mm; headers round positions to two digits and more


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
            stack = stack_slices(*zip(*(item.header.place() for item in slices), strict=True))
        except GeometryError as error:
            reasons.append(str(error))
    if reasons:
        raise SeriesRejectedError(dict.fromkeys(reasons))
    if abs(first.gantry_tilt) > 0.1:
        notes.append(f"the scanner says gantry tilt {first.gantry_tilt:g}, but slices are not sheared")
    return DicomSeries(tuple(slices[index] for index in stack.order), stack.affine, tuple(notes), tuple(copies))


class GeometryError(ValueError):
    """The slices make up no regular grid; the message says why."""


@dataclass(frozen=True)
class SliceStack:
    """
    A regular grid made of slices.

    Args:
        order: index of the slice that comes first, second, ... along the normal of the slices.
        affine: indices (column, row, slice in that order) to mm in LPS+ coordinates, DICOM's (4, 4).
    """

    order: tuple[int, ...]
    affine: np.ndarray


def stack_slices(
    positions: Sequence[Sequence[float]], orientations: Sequence[Sequence[float]], spacings: Sequence[Sequence[float]]
) -> SliceStack:
    """
    Order slices by their position projected on their normal; file names and instance numbers take no part.

    Args:
        positions: ImagePositionPatient of each slice, mm, LPS+ (N, 3), N at least 2.
        orientations: ImageOrientationPatient of each slice (N, 6).
        spacings: PixelSpacing of each slice: mm between rows, mm between columns (N, 2).

    Raises:
        GeometryError: slices are not parallel, are of different pixel sizes, lie at the same place, are missing,
            are unevenly spaced, or are sheared against each other (gantry tilt).
    """
    origins, spacing = np.asarray(positions, float), np.asarray(spacings, float)
    rows, columns = _directions(np.asarray(orientations, float))
    if np.ptp(spacing, axis=0).max() > 1e-4 or not (spacing > 0).all():
        raise GeometryError("slices of different pixel spacing, or of none")
    if len(origins) < 2:
        raise GeometryError("a single slice: no volume")
    normal = np.cross(rows, columns)
    depths = origins @ normal
    order = np.argsort(depths, kind="stable")
    origins, depths = origins[order], depths[order]
    _require_even_steps(depths)
    step = (origins[-1] - origins[0]) / (len(origins) - 1)
    tolerance = max(_POSITION_TOLERANCE, _STEP_TOLERANCE * float(step @ normal))
    drift = origins - origins[0] - np.outer(depths - depths[0], normal)
    if np.linalg.norm(drift, axis=1).max() > tolerance:
        shear = step - (step @ normal) * normal
        angle = np.degrees(np.arctan2(np.linalg.norm(shear), step @ normal))
        raise GeometryError(f"gantry tilt: slices are shifted against each other by {angle:.1f} degrees")
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1], affine[:3, 2] = rows * spacing[0, 1], columns * spacing[0, 0], step
    affine[:3, 3] = origins[0]
    return SliceStack(tuple(int(index) for index in order), affine)


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
    found: dict[str, set[Any]] = {
        "studies": {header.study_uid for header in headers},
        "frames of reference": {header.frame_of_reference_uid for header in headers},
        "modalities": {header.modality for header in headers},
        "image sizes": {(header.columns, header.rows) for header in headers},
    }
    for what, values in found.items():
        if len(values) > 1:
            reasons.append(f"slices of {len(values)} different {what} in one series")
    return reasons


def _directions(orientations: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if np.ptp(orientations, axis=0).max() > _DIRECTION_TOLERANCE:
        raise GeometryError("slices of different orientations, as in a localizer")
    rows, columns = orientations[0, :3], orientations[0, 3:]
    lengths = np.array([np.linalg.norm(rows), np.linalg.norm(columns)])
    if np.abs(lengths - 1).max() > _DIRECTION_TOLERANCE or abs(rows @ columns) > _DIRECTION_TOLERANCE:
        raise GeometryError("orientation is not made of two perpendicular unit vectors")
    rows = rows / lengths[0]
    columns = columns - (columns @ rows) * rows  # rounding in the header must not shear the grid
    return rows, columns / np.linalg.norm(columns)


def _require_even_steps(depths: np.ndarray) -> None:
    steps = np.diff(depths)
    same = int((steps < _POSITION_TOLERANCE).sum())
    if same:
        raise GeometryError(
            f"{same} slices lie where another one does: several time points, echoes or reconstructions in one series"
        )
    usual = float(np.sort(steps)[(len(steps) - 1) // 2])  # the lower median: of two steps, the larger one is the gap
    even = depths[0] + np.arange(len(depths)) * (depths[-1] - depths[0]) / (len(depths) - 1)
    if np.abs(depths - even).max() <= max(_POSITION_TOLERANCE, _STEP_TOLERANCE * usual):
        return
    multiples = np.rint(steps / usual)
    if (multiples >= 1).all() and np.abs(steps - multiples * usual).max() <= max(0.02, 0.05 * usual):
        gaps = np.flatnonzero(multiples > 1)
        missing = int((multiples[gaps] - 1).sum())
        if missing:
            where = ", ".join(f"between {depths[gap]:g} and {depths[gap + 1]:g} mm" for gap in gaps[:3])
            raise GeometryError(f"missing slices: {missing}, {where}{' ...' if len(gaps) > 3 else ''}")
    raise GeometryError(f"variable slice spacing: {steps.min():.4g} to {steps.max():.4g} mm")
