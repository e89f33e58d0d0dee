"""What a raw folder of nnU-Net says of itself: ``dataset.json`` of version 1 and 2, and ``splits_final.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monai_proto.data.datalist import DATALIST_NAME
from monai_proto.data.json_file import read_json
from monai_proto.data.nifti import is_nifti_name

__all__ = ["SPLITS_NAME", "NnunetDescription", "read_nnunet_description", "read_nnunet_split"]

SPLITS_NAME = "splits_final.json"
_NAMES = {"type": "object", "additionalProperties": {"type": "string"}}
_SCHEMA = {
    "type": "object",
    "required": ["labels"],
    "properties": {
        "channel_names": _NAMES,
        "modality": _NAMES,
        "labels": {"type": "object"},
        "file_ending": {"type": "string"},
    },
}
_SPLITS_SCHEMA = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["train", "val"],
        "properties": {part: {"type": "array", "items": {"type": "string"}} for part in ("train", "val")},
    },
}
# of nnU-Net alone: how it reads and counts its files
_OWN_KEYS = {
    *("channel_names", "modality", "labels", "file_ending", "numTraining", "numTest", "training", "test"),
    *("overwrite_image_reader_writer", "regions_class_order", "tensorImageSize"),
}


@dataclass(frozen=True)
class NnunetDescription:
    """
    Args:
        channels: names of the channels 0, 1, ...
        labels: names of the label values 0, 1, ...
        file_ending: of images and labels, ``.nii.gz`` or ``.nii``.
        properties: what else ``dataset.json`` says: name, licence, reference, ...
    """

    channels: list[str]
    labels: list[str]
    file_ending: str
    properties: dict[str, Any]


def read_nnunet_description(root: Path) -> NnunetDescription:
    """
    Read ``dataset.json``: ``channel_names`` and ``labels`` from name to value (version 2), or ``modality`` and
    ``labels`` from value to name (version 1).

    Args:
        root: the raw folder of one data set.

    Raises:
        ValueError: naming the file, when it is none of nnU-Net's, its channels or labels are not numbered from 0, or it
            has what is not supported: regions, an ignore label, files listed one by one, no NIfTI files.
    """
    file = root / DATALIST_NAME
    content = read_json(file, schema=_SCHEMA)
    if "dataset" in content:
        raise ValueError(f"{file} lists its files under dataset, which is not supported: put them into imagesTr.")
    channels = content.get("channel_names", content.get("modality"))
    if not channels:
        raise ValueError(f"{file} has neither channel_names (nnU-Net version 2) nor modality (version 1).")
    ending = content.get("file_ending", ".nii.gz")
    if not is_nifti_name(f"x{ending}"):
        raise ValueError(f"{file}: file_ending must be .nii.gz or .nii, got {ending!r}: convert the files to NIfTI.")
    return NnunetDescription(
        _in_order(channels, f"{file}: channel_names or modality"),
        _label_names(content["labels"], f"{file}: labels"),
        ending,
        {key: value for key, value in content.items() if key not in _OWN_KEYS},
    )


def read_nnunet_split(file: Path, fold: int) -> dict[str, str]:
    """
    One fold of ``splits_final.json``, a list of ``{"train": [case, ...], "val": [case, ...]}``.

    Returns:
        ``"training"`` or ``"validation"`` for each case.

    Raises:
        ValueError: naming the file, when it has another form or no such fold, or a case is on both sides.
    """
    folds = read_json(file, "Split", _SPLITS_SCHEMA)
    if not 0 <= fold < len(folds):
        raise ValueError(f"--fold must be in 0 .. {len(folds) - 1}, the folds of {file}, got {fold}.")
    both = sorted(set(folds[fold]["train"]) & set(folds[fold]["val"]))
    if both:
        raise ValueError(f"Split {file}, fold {fold}: {both[0]} is under train and under val.")
    return {
        **dict.fromkeys(folds[fold]["train"], "training"),
        **dict.fromkeys(folds[fold]["val"], "validation"),
    }


def _label_names(labels: Mapping[str, Any], where: str) -> list[str]:
    regions = [name for name, value in labels.items() if isinstance(value, list)]
    if regions:
        raise ValueError(
            f"{where}: {', '.join(regions)} are regions of several values, which are not supported: give every value a "
            "name of its own, as in {'background': 0, 'edema': 1, 'tumour core': 2}."
        )
    if "ignore" in labels or "ignore" in labels.values():
        raise ValueError(f"{where}: a label ignore is not supported yet: voxels of it would count as a class.")
    if all(isinstance(value, int) and not isinstance(value, bool) for value in labels.values()):
        names = {str(value): name for name, value in labels.items()}
        if len(names) < len(labels):
            raise ValueError(f"{where}: two names have the same value: {dict(labels)}.")
        return _in_order(names, where)
    if all(isinstance(value, str) for value in labels.values()):
        return _in_order(labels, where)
    raise ValueError(f"{where} must map names to values, {{'background': 0, 'liver': 1}}, got {dict(labels)}.")


def _in_order(names: Mapping[str, str], where: str) -> list[str]:
    try:
        by_number = {int(number): name for number, name in names.items()}
    except ValueError as error:
        raise ValueError(f"{where} must be numbered 0, 1, ..., got {', '.join(names)}.") from error
    if not names or sorted(by_number) != list(range(len(names))):
        raise ValueError(f"{where} must be numbered 0, 1, ... without a gap, got {', '.join(names) or 'none'}.")
    return [by_number[number] for number in range(len(names))]
