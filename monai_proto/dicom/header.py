"""Reads what is needed of a DICOM header, without pixels, for classic and for enhanced multi-frame objects."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from monai_proto.dicom.packages import dicom_package

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = [
    "FrameHeader",
    "InstanceHeader",
    "NotDicomError",
    "complete_uids",
    "read_header",
    "read_tags",
    "require_tags",
]

_KEYWORDS = [
    "SOPClassUID",
    "SOPInstanceUID",
    "SeriesInstanceUID",
    "StudyInstanceUID",
    "FrameOfReferenceUID",
    "PatientID",
    "IssuerOfPatientID",
    "PatientName",
    "PatientBirthDate",
    "Modality",
    "ImageType",
    "Rows",
    "Columns",
    "NumberOfFrames",
    "SamplesPerPixel",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "GantryDetectorTilt",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "SeriesNumber",
]
_STAND_INS = {
    "StudyInstanceUID": ("IssuerOfPatientID", "PatientID", "StudyDate", "StudyTime", "StudyID"),
    "SeriesInstanceUID": ("StudyInstanceUID", "Modality", "SeriesNumber"),
}


class NotDicomError(ValueError):
    """The file is no DICOM file at all."""


@dataclass(frozen=True)
class FrameHeader:
    """
    Place and scale of one frame.

    Args:
        position: centre of the first voxel in mm, LPS+ (ImagePositionPatient); None where the header has none.
        orientation: direction of the rows, then of the columns (ImageOrientationPatient); None where it has none.
        spacing: mm between rows, then between columns (PixelSpacing); None where it has none.
        rescale: slope and intercept that a frame of an enhanced object has of its own; None elsewhere.
    """

    position: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    spacing: tuple[float, ...] | None
    rescale: tuple[float, float] | None = None

    def place(self) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]:
        """
        Position, orientation and spacing.

        Raises:
            ValueError: when the header lacks one of them.
        """
        if self.position is None or self.orientation is None or self.spacing is None:
            raise ValueError("a frame must have position, orientation and pixel spacing to have a place.")
        return self.position, self.orientation, self.spacing


@dataclass(frozen=True)
class InstanceHeader:
    """
    One DICOM object, as plain values; a text that the header lacks is empty.

    Args:
        file: path of the file.
        sop_class_uid: what kind of object it is.
        sop_instance_uid: its own identifier.
        transfer_syntax_uid: how it is encoded.
        series_uid: its series.
        study_uid: its study.
        frame_of_reference_uid: the coordinate system that its positions are in.
        patient: issuer and PatientID; both may be empty.
        person: name and birth date, to notice when a series mixes patients; never written anywhere.
        modality: such as CT or MR.
        image_type: values of ImageType, such as ORIGINAL, PRIMARY, AXIAL.
        rows: pixels along a column.
        columns: pixels along a row.
        samples: values per pixel, 1 for a grey image.
        gantry_tilt: degrees, as the scanner says; 0 where it does not.
        frames: one entry a frame, in the file's order.
    """

    file: str
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    series_uid: str
    study_uid: str
    frame_of_reference_uid: str
    patient: tuple[str, str]
    person: tuple[str, str]
    modality: str
    image_type: tuple[str, ...]
    rows: int
    columns: int
    samples: int
    gantry_tilt: float
    frames: tuple[FrameHeader, ...]

    @property
    def object_name(self) -> str:
        """The kind of object in words, such as ``CT Image Storage``."""
        return dicom_package("pydicom.uid").UID(self.sop_class_uid).name or "object of no SOP class"

    @property
    def kind(self) -> str:
        """``image``, ``SEG``, ``RTSTRUCT`` or ``other``."""
        name = self.object_name
        if name in ("Segmentation Storage", "Label Map Segmentation Storage"):
            return "SEG"
        if name == "RT Structure Set Storage":
            return "RTSTRUCT"
        return "image" if "Image Storage" in name and self.rows and self.columns else "other"


def read_header(file: str | os.PathLike) -> InstanceHeader:
    """
    Read a header and stop before the pixels.

    Raises:
        NotDicomError: when the file does not have the mark of a DICOM file.
        ValueError: when the header is damaged; the message does not name the file.
    """
    pydicom = dicom_package("pydicom")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom warns about every value that bends the standard
            dataset = pydicom.dcmread(os.fspath(file), stop_before_pixels=True, specific_tags=_KEYWORDS)
            header = _header(os.fspath(file), complete_uids(dataset))
    except pydicom.errors.InvalidDicomError as error:
        raise NotDicomError("not a DICOM file") from error
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror or error}") from error
    except Exception as error:  # a damaged header raises whatever the damaged value leads to
        raise ValueError(f"damaged DICOM header ({type(error).__name__}: {error})") from error
    if not header.sop_class_uid or ("Image Storage" in header.object_name and not (header.rows and header.columns)):
        raise ValueError("damaged or truncated DICOM header: it does not say what it holds, or of which size")
    return header


def complete_uids(dataset: Dataset) -> Dataset:
    """
    Fill in identifiers that a careless de-identification emptied.

    SOPClassUID and SOPInstanceUID come from the file's meta header. A missing SeriesInstanceUID or StudyInstanceUID is
    replaced by a UID made of what else tells series apart (frame of reference, dates, numbers; the folder where there
    is no frame of reference), so that the files of a series still belong together.

    Returns:
        the same dataset.
    """
    meta = getattr(dataset, "file_meta", None) or {}
    for keyword in ("SOPClassUID", "SOPInstanceUID"):
        if not dataset.get(keyword) and meta.get(f"MediaStorage{keyword}"):
            setattr(dataset, keyword, meta.get(f"MediaStorage{keyword}"))
    for keyword, told_by in _STAND_INS.items():
        if not dataset.get(keyword):
            place = dataset.get("FrameOfReferenceUID") or os.path.dirname(os.path.abspath(str(dataset.filename)))
            sources = [keyword, str(place), *(str(dataset.get(name) or "") for name in told_by)]
            setattr(dataset, keyword, dicom_package("pydicom.uid").generate_uid(entropy_srcs=sources))
    return dataset


def require_tags(names: Iterable[str]) -> None:
    """
    Raises:
        ValueError: for a name that is neither a DICOM keyword nor a tag such as ``0019,100A``.
    """
    for name in names:
        try:
            _tag(name)
        except (ValueError, TypeError, OverflowError) as error:
            raise ValueError(f"--keep-tags: {name!r} is neither a DICOM keyword nor a tag like 0019,100A.") from error


def read_tags(file: str | os.PathLike, names: Iterable[str]) -> dict[str, str]:
    """The values as text by name; those that the file does not have are left out."""
    names = list(names)
    if not names:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = dicom_package("pydicom").dcmread(os.fspath(file), stop_before_pixels=True)
        values = {name: dataset.get(_tag(name)) for name in names}
        return {name: str(value.value) for name, value in values.items() if value is not None}


def _header(file: str, dataset: Dataset) -> InstanceHeader:
    meta = getattr(dataset, "file_meta", None) or {}
    return InstanceHeader(
        file=file,
        sop_class_uid=_text(dataset, "SOPClassUID"),
        sop_instance_uid=_text(dataset, "SOPInstanceUID"),
        transfer_syntax_uid=str(meta.get("TransferSyntaxUID") or ""),
        series_uid=_text(dataset, "SeriesInstanceUID"),
        study_uid=_text(dataset, "StudyInstanceUID"),
        frame_of_reference_uid=_text(dataset, "FrameOfReferenceUID"),
        patient=(_text(dataset, "IssuerOfPatientID"), _text(dataset, "PatientID")),
        person=(_text(dataset, "PatientName"), _text(dataset, "PatientBirthDate")),
        modality=_text(dataset, "Modality"),
        image_type=tuple(str(value) for value in _values(dataset, "ImageType") or ()),
        rows=int(dataset.get("Rows") or 0),
        columns=int(dataset.get("Columns") or 0),
        samples=int(dataset.get("SamplesPerPixel") or 1),
        gantry_tilt=float(dataset.get("GantryDetectorTilt") or 0),
        frames=_frames(dataset),
    )


def _frames(dataset: Dataset) -> tuple[FrameHeader, ...]:
    groups = dataset.get("PerFrameFunctionalGroupsSequence")
    if groups:
        shared = dataset.get("SharedFunctionalGroupsSequence") or [None]
        return tuple(_enhanced_frame(group, shared[0]) for group in groups)
    frame = FrameHeader(
        _numbers(dataset, "ImagePositionPatient", 3),
        _numbers(dataset, "ImageOrientationPatient", 6),
        _numbers(dataset, "PixelSpacing", 2),
    )
    return (frame,) * int(dataset.get("NumberOfFrames") or 1)


def _enhanced_frame(group: Dataset, shared: Dataset | None) -> FrameHeader:
    def macro(name: str) -> Any:
        for source in (group, shared):
            if source is not None and source.get(name):
                return source.get(name)[0]
        return {}

    measures, transform = macro("PixelMeasuresSequence"), macro("PixelValueTransformationSequence")
    return FrameHeader(
        _numbers(macro("PlanePositionSequence"), "ImagePositionPatient", 3),
        _numbers(macro("PlaneOrientationSequence"), "ImageOrientationPatient", 6),
        _numbers(measures, "PixelSpacing", 2),
        (float(transform.get("RescaleSlope", 1)), float(transform.get("RescaleIntercept", 0))) if transform else None,
    )


def _numbers(dataset: Any, keyword: str, count: int) -> tuple[float, ...] | None:
    values = _values(dataset, keyword)
    return tuple(float(value) for value in values) if values is not None and len(values) == count else None


def _values(dataset: Any, keyword: str) -> Any:
    value = dataset.get(keyword)
    return [value] if isinstance(value, str) and value else value or None


def _text(dataset: Dataset, keyword: str) -> str:
    return str(dataset.get(keyword) or "").strip()


def _tag(name: str) -> Any:
    tag = dicom_package("pydicom.tag").Tag
    return tag(*(int(part, 16) for part in name.split(","))) if "," in name else tag(name)
