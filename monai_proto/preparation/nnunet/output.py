"""Our predictions as nnU-Net names them: ``x.nii.gz`` for the image ``x_0000.nii.gz``, and a ``dataset.json``."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

from monai_proto.data.atomic_write import new_folder_atomically, write_text_atomically
from monai_proto.data.bundle_metadata import names_by_value
from monai_proto.data.datalist import DATALIST_NAME, read_datalist
from monai_proto.data.nifti import case_name, is_apple_double, is_nifti_name, read_volume, write_nifti

__all__ = ["write_nnunet_labels"]


def write_nnunet_labels(
    predictions: Path, output: Path, dataset: Path | None = None, postfix: str = "seg", console: Console | None = None
) -> list[str]:
    """
    Write the label maps of a folder into a new one as nnU-Net names and stores them.

    Args:
        predictions: folder of label maps, at any depth, such as a bundle's inference writes: ``x_seg.nii.gz``.
        output: new folder, which appears when it is complete.
        dataset: folder of the prepared data list, or the JSON file, which names channels and labels; with it the folder
            gets a ``dataset.json`` of nnU-Net version 2. None writes the label maps alone.
        postfix: what a prediction's name has after that of its image.
        console: where a progress bar is shown; None for nowhere.

    Returns:
        names of the cases.

    Raises:
        ValueError: naming the file, when there is no label map, two are of the same case, one cannot be read, holds
            other values than integers from 0 on, or one that ``dataset`` does not name.
    """
    if not predictions.is_dir():
        raise ValueError(f"--predictions {predictions} is not a folder.")
    files: dict[str, Path] = {}
    for file in sorted(predictions.rglob("*")):
        if file.is_file() and is_nifti_name(file) and not is_apple_double(file):
            name = re.sub(r"_\d{4}$", "", case_name(file).removesuffix(f"_{postfix}"))
            if files.setdefault(name, file) != file:
                raise ValueError(f"{files[name]} and {file} are both of the case {name}: leave one out.")
    if not files:
        raise ValueError(f"--predictions {predictions} holds no .nii.gz or .nii file.")
    description = None if dataset is None else _description(dataset, len(files))
    num_labels = None if description is None else len(description["labels"])
    with new_folder_atomically(output) as target:
        for name, file in track(files.items(), "Writing labels", console=console, disable=console is None):
            voxels, affine = _label_map(file, num_labels)
            write_nifti(target / f"{name}.nii.gz", voxels, affine)
        if description is not None:
            write_text_atomically(target / DATALIST_NAME, json.dumps(description, indent=1, ensure_ascii=False) + "\n")
    return list(files)


def _description(dataset: Path, num_cases: int) -> dict[str, Any]:
    content = read_datalist(dataset)
    labels = names_by_value(content.get("labels"), f"labels of the data list of {dataset}")
    if len(set(labels)) < len(labels):
        raise ValueError(f"labels of the data list of {dataset} name a class twice, which nnU-Net cannot: {labels}.")
    return {
        "channel_names": {
            str(number): str(name) for number, name in (content.get("modality") or {"0": "image"}).items()
        },
        "labels": {name: value for value, name in enumerate(labels)},
        "numTraining": num_cases,
        "file_ending": ".nii.gz",
    }


def _label_map(file: Path, num_labels: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Label map (X, Y, Z), uint8 or uint16, and its affine."""
    volume, problems = read_volume(file)
    if volume is None:
        raise ValueError(f"{file}: {problems[0].message}.")
    if volume.data.shape[3:] not in ((), (1,)) or volume.data.ndim < 3:
        raise ValueError(f"{file}: a label map must be 3-D, got the shape {volume.data.shape}.")
    values = np.unique(volume.data)
    highest = 2**16 if num_labels is None else num_labels
    wrong = values[~((values == np.rint(values)) & (values >= 0) & (values < highest))]
    if wrong.size:
        raise ValueError(f"{file}: labels must be integers in 0 .. {highest - 1}, got {wrong[0]:g}.")
    kind = np.uint8 if values[-1] < 256 else np.uint16
    return volume.data.reshape(volume.data.shape[:3]).astype(kind), volume.affine
