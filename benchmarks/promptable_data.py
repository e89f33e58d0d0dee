"""Real images with masks and boxes for the benchmark of promptable segmentation."""

from __future__ import annotations

import csv
import json
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch
from PIL import Image

from monai_proto.data import read_color_image, volume_slice
from monai_proto.transforms import boxes_from_mask

__all__ = ["DOMAINS", "load_objects"]

JITTER = 0.05
# part -> volume, organs: two patients
_CT = {
    "train": ("ts_ct_dicom_512", ("liver", "spleen", "stomach", "aorta", "vertebrae_T12", "autochthon_left")),
    "test": ("ts_ct_body3mm", ("liver", "spleen", "kidney_right", "urinary_bladder")),
}
_SLICES_OF_AN_ORGAN = 5
_CT_WINDOW = (-160.0, 240.0)  # HU, soft tissue


def load_objects(domain: str, part: str, number: int, seed: int = 0) -> list[dict[str, Any]]:
    """
    Objects of a domain, drawn at random: ``image`` float32 (3, H, W) in 0 .. 255, ``mask`` (1, H, W), ``small_box`` and
    ``big_box`` (4,), ``image_size`` (2,) and ``name``. Masks of several objects are left out.

    Boxes come from the masks: the big one with a margin of 15%, the small one with an inset of 20%, each side moved by
    up to 5%.

    Args:
        domain: one of ``DOMAINS``.
        part: ``"train"`` or ``"test"``.
        number: how many at the most.
        seed: of the draw; boxes of an object do not depend on it.

    Raises:
        ValueError: when MONAI_PROTO_DATA is not set.
    """
    root = os.environ.get("MONAI_PROTO_DATA")
    if not root:
        raise ValueError("MONAI_PROTO_DATA must point at the folder of development data.")
    objects = []
    for name, image, mask in DOMAINS[domain](Path(root), part, seed):
        jitter_of_object = np.random.RandomState(random.Random(name).randrange(2**31))
        try:
            small, big = boxes_from_mask(mask, jitter=JITTER, random_state=jitter_of_object)
        except ValueError:  # several objects, none
            continue
        objects.append(
            {
                "name": name,
                "image": torch.from_numpy(np.ascontiguousarray(np.moveaxis(image, -1, 0))).float(),
                "mask": torch.from_numpy(mask[None].astype(np.float32)),
                "small_box": small,
                "big_box": big,
                "image_size": torch.tensor(mask.shape),
            }
        )
        if len(objects) == number:
            break
    return objects


def _lesions(root: Path, part: str, seed: int) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    folder = root / "ham10000"
    with open(folder / "metadata.csv", newline="") as stream:
        names = [row["image_id"] for row in csv.DictReader(stream) if row["split"] == part]
    random.Random(seed).shuffle(names)
    for name in names:
        image = np.asarray(read_color_image(folder / "images" / f"{name}.jpg"))
        with Image.open(folder / "masks" / f"{name}_segmentation.png") as mask:
            yield name, image, np.asarray(mask.convert("L")) > 127


def _hippocampi(root: Path, part: str, seed: int) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """The largest axial slice of each volume, both labels as one object."""
    folder = root / "hippocampus"
    listed = json.loads((folder / "dataset.json").read_text())
    items = listed["training" if part == "train" else "validation"]
    random.Random(seed).shuffle(items)
    for item in items:
        label = np.asarray(nib.load(folder / item["label"]).dataobj) > 0
        voxels = np.asarray(nib.load(folder / item["image"]).dataobj, dtype=np.float32)
        index = int(label.sum(axis=(0, 1)).argmax())
        low, high = np.percentile(voxels, (1, 99))
        name = Path(item["image"]).name.split(".")[0]
        yield name, _grey(volume_slice(voxels, 2, index), low, high), volume_slice(label, 2, index)


def _organs(root: Path, part: str, seed: int) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """
    Axial slices of organs of a CT, in turn; labels are model output. The test part is always in the same order: a
    smaller number of it has all organs.
    """
    folder = root / "ct"
    volume, organs = _CT[part]
    value_of = {name: int(k) for k, name in json.loads((folder / "label_names.json").read_text())["total"].items()}
    image, label = (np.asarray(nib.load(folder / kind / f"{volume}.nii.gz").dataobj) for kind in ("images", "labels"))
    large = {}
    for organ in organs:
        areas = (label == value_of[organ]).sum(axis=(0, 1))
        large[organ] = np.flatnonzero(areas >= 0.4 * areas.max())
    slices = [
        (organ, int(large[organ][place * (len(large[organ]) - 1) // (_SLICES_OF_AN_ORGAN - 1)]))
        for place in range(_SLICES_OF_AN_ORGAN)
        for organ in organs
    ]
    if part == "train":
        random.Random(seed).shuffle(slices)
    for organ, index in slices:
        mask = volume_slice(label, 2, index) == value_of[organ]
        yield f"{organ}_{index}", _grey(volume_slice(image, 2, index), *_CT_WINDOW), mask


def _grey(picture: np.ndarray, low: float, high: float) -> np.ndarray:
    scaled = np.clip((picture.astype(np.float32) - low) / max(high - low, 1e-6), 0, 1) * 255
    return np.repeat(scaled[..., None], 3, axis=-1)


DOMAINS: dict[str, Callable[[Path, str, int], Iterator[tuple[str, np.ndarray, np.ndarray]]]] = {
    "ham10000": _lesions,
    "hippocampus": _hippocampi,
    "ct": _organs,
}
