"""What the segments of a DICOM SEG are called and coded as."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from monai_proto.dicom.packages import dicom_package

__all__ = ["SIDE_CODES", "Segment", "segment_of_name", "segments_from_metadata"]

CodeTriple = tuple[str, str, str]

_ANATOMICAL_STRUCTURE: CodeTriple = ("91723000", "SCT", "Anatomical Structure")
_TISSUE: CodeTriple = ("85756007", "SCT", "Tissue")
_ALTERED_STRUCTURE: CodeTriple = ("49755003", "SCT", "Morphologically Altered Structure")
SIDE_CODES: dict[str, CodeTriple] = {
    "left": ("7771000", "SCT", "Left"),
    "right": ("24028007", "SCT", "Right"),
    "anterior": ("255549009", "SCT", "Anterior"),
    "posterior": ("255551008", "SCT", "Posterior"),
}
_SIDES = ("left", "right", "upper", "lower", "middle", "anterior", "posterior", "superior", "inferior")
# names of the project's bundles that are not words of SNOMED CT; keys are what _words makes of a name
_TYPES: dict[str, CodeTriple] = {
    "hippocampus": ("5366008", "SCT", "Hippocampus"),
    "bladder": ("89837001", "SCT", "Bladder"),
    "urinary bladder": ("89837001", "SCT", "Bladder"),
    "tumour": ("108369006", "SCT", "Neoplasm"),
    "tumor": ("108369006", "SCT", "Neoplasm"),
    "cancer": ("108369006", "SCT", "Neoplasm"),
    "lesion": ("52988006", "SCT", "Lesion"),
}
_ALTERED = ("108369006", "52988006")


@dataclass(frozen=True)
class Segment:
    """
    One class of a segmentation.

    Args:
        value: label value in the mask.
        name: SegmentLabel, at most 64 characters.
        category: code value, scheme and meaning of what sort of thing it is.
        type: code value, scheme and meaning of what it is.
        side: ``left`` or ``right`` for one of a pair, ``anterior`` or ``posterior`` for a part; None for the others.
    """

    value: int
    name: str
    category: CodeTriple = _ANATOMICAL_STRUCTURE
    type: CodeTriple = _TISSUE
    side: str | None = None

    @property
    def has_own_code(self) -> bool:
        """Whether the type says more than ``Tissue``, which is what a name without a known code gets."""
        return self.type != _TISSUE


def segments_from_metadata(metadata: Mapping[str, Any]) -> list[Segment]:
    """
    The foreground classes of a bundle, as its ``metadata.json`` names them.

    Names are those of ``network_data_format.outputs.pred.channel_def``; channel 0 is the background. Codes are those of
    an own key of the metadata where there is one::

        "dicom_segments": {
            "1": {"name": "Anterior hippocampus", "type": ["5366008", "SCT", "Hippocampus"], "side": "anterior"}
        }

    (``name``, ``category`` and ``side`` may be left out). Else the SNOMED CT concept of pydicom's dictionary that has
    the class's name, without side and position (``kidney_left`` is a Kidney); else Tissue.

    Raises:
        ValueError: when the metadata names no class, or ``dicom_segments`` is not of the form above.
    """
    try:
        channels = metadata["network_data_format"]["outputs"]["pred"]["channel_def"]
        names = {int(value): str(name) for value, name in channels.items() if int(value) > 0}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(
            "metadata.json has no network_data_format.outputs.pred.channel_def with the classes."
        ) from error
    if not names:
        raise ValueError("metadata.json names no class but the background in channel_def.")
    own = metadata.get("dicom_segments") or {}
    if not isinstance(own, Mapping) or not all(isinstance(item, Mapping) for item in own.values()):
        raise ValueError(f"metadata.json: dicom_segments must give an object for each label value, got {own!r}.")
    return [_segment(value, names[value], own.get(str(value), {})) for value in sorted(names)]


def segment_of_name(value: int, name: str) -> Segment:
    """A class that is known by its name alone, coded as :func:`segments_from_metadata` does."""
    return _segment(value, name, {})


def _segment(value: int, name: str, own: Mapping[str, Any]) -> Segment:
    code = _triple(own["type"]) if "type" in own else code_of_name(name) or _TISSUE
    category = _ALTERED_STRUCTURE if code[0] in _ALTERED else _ANATOMICAL_STRUCTURE
    category = _triple(own["category"]) if "category" in own else category
    side = own.get("side") or _side(name)
    if side is not None and side not in SIDE_CODES:
        raise ValueError(f"dicom_segments: side must be one of {', '.join(SIDE_CODES)}, got {side!r}.")
    return Segment(value, str(own.get("name", name))[:64], category, code, side)


def code_of_name(name: str) -> CodeTriple | None:
    """SNOMED CT code of a structure's name; None where pydicom's dictionary and the table here have none."""
    words = _words(name)
    plain = [word for word in words if word not in _SIDES]
    codes = dicom_package("pydicom.sr.codedict").codes
    for attempt in (words, plain) if plain else ():
        if " ".join(attempt) in _TYPES:
            return _TYPES[" ".join(attempt)]
        try:
            code = getattr(codes.SCT, "".join(word.capitalize() for word in attempt))
        except AttributeError:
            continue
        return str(code.value), "SCT", str(code.meaning)
    return None


def _side(name: str) -> str | None:
    sides = {"left", "right"} & set(_words(name))
    return sides.pop() if len(sides) == 1 else None


def _words(name: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", name.lower())


def _triple(code: Sequence[str]) -> CodeTriple:
    if isinstance(code, str) or len(code) != 3 or not all(isinstance(part, str) and part for part in code):
        raise ValueError(f"dicom_segments: a code is [value, scheme, meaning], got {code!r}.")
    return code[0], code[1], code[2]
