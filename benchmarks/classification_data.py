"""
HAM10000 for the prototype benchmark: images in memory, and the activations of the backbone's frozen front part.

The front of the backbone is the same and frozen for all methods; it runs once over every image and over some augmented
views of the training images, and what is trained starts from there. That fits two cores.
"""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from monai.transforms import Compose, RandAffine, RandFlip, RandScaleIntensity, RandZoom, Resize
from monai.utils import set_determinism
from torch import nn

from monai_proto.networks.freezing import freeze
from monai_proto.networks.nets import efficientnet_lite0
from monai_proto.transforms import LoadColorImaged

__all__ = [
    "IMAGE_SIZE",
    "VIEWS",
    "LesionImages",
    "Trunk",
    "front_activations",
    "frozen_front",
    "load_lesion_images",
    "normalized",
    "trained_back",
]

IMAGE_SIZE = (128, 160)
FROZEN_BLOCKS = 4
VIEWS = 4
_BATCH = 64


@dataclass
class LesionImages:
    """
    Attributes:
        classes: names.
        train_images, test_images: (N, 3, H, W), uint8.
        train_labels, test_labels: (N,), int64.
        train_ids: image ids.
    """

    classes: list[str]
    train_images: torch.Tensor
    train_labels: torch.Tensor
    train_ids: list[str]
    test_images: torch.Tensor
    test_labels: torch.Tensor


def load_lesion_images(cache: Path) -> LesionImages:
    """
    All images at ``IMAGE_SIZE``, split as ``metadata.csv`` says; kept in ``cache`` for the next call.

    Raises:
        ValueError: when MONAI_PROTO_DATA is not set.
    """
    root = os.environ.get("MONAI_PROTO_DATA")
    if not root:
        raise ValueError("MONAI_PROTO_DATA must point at the folder of development data.")
    with open(Path(root) / "ham10000" / "metadata.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    classes = sorted({row["dx"] for row in rows})
    file = cache / f"ham10000-{IMAGE_SIZE[0]}x{IMAGE_SIZE[1]}.pt"
    if not file.is_file():
        load = Compose([LoadColorImaged("image"), lambda item: Resize(IMAGE_SIZE, anti_aliasing=True)(item["image"])])
        paths = [Path(root) / "ham10000" / "images" / f"{row['image_id']}.jpg" for row in rows]
        images = torch.stack([load({"image": str(p)}).as_tensor().round().clamp(0, 255).to(torch.uint8) for p in paths])
        _save(file, images)
    images = torch.load(file, weights_only=True)
    labels = torch.tensor([classes.index(row["dx"]) for row in rows])
    parts = {}
    for part in ("train", "test"):
        chosen = [i for i, row in enumerate(rows) if row["split"] == part]
        parts[f"{part}_images"], parts[f"{part}_labels"] = images[chosen], labels[chosen]
    train_ids = [row["image_id"] for row in rows if row["split"] == "train"]
    return LesionImages(classes, train_ids=train_ids, **parts)


class Trunk(nn.Sequential):
    """Part of a backbone: activations in, activations out."""


def frozen_front() -> Trunk:
    """The backbone's first layers, in evaluation mode."""
    network = efficientnet_lite0()
    front = Trunk(network.conv_stem, network.bn1, *network.blocks[:FROZEN_BLOCKS])
    freeze(front)
    return front.to(memory_format=torch.channels_last)


def trained_back() -> Trunk:
    """The other layers, which end in a map of 1280 channels."""
    network = efficientnet_lite0()
    back = Trunk(*network.blocks[FROZEN_BLOCKS:], network.conv_head, network.bn2)
    return back.to(memory_format=torch.channels_last)


def normalized(images: torch.Tensor) -> torch.Tensor:
    """uint8 to -1 .. 1, as the backbone wants it."""
    return (images.float().clamp(0, 255) / 127.5 - 1).contiguous(memory_format=torch.channels_last)


def front_activations(images: torch.Tensor, name: str, cache: Path, views: int = 1) -> torch.Tensor:
    """
    Activations (views, N, F, h, w) in half precision; the first view is the image itself, the others are augmented
    with a seed of their own, the same for all methods and runs. Kept in ``cache``.
    """
    file = cache / f"ham10000-{name}-block{FROZEN_BLOCKS}-{views}views.pt"
    if not file.is_file():
        front = frozen_front()
        augment = _augmentation()
        set_determinism(1234)
        result = []
        for view in range(views):
            batches = []
            for batch in images.split(_BATCH):
                # the transforms give MetaTensors
                shown = batch if view == 0 else torch.stack([augment(i.float()).as_tensor() for i in batch])
                batches.append(front(normalized(shown)).half().contiguous())
            result.append(torch.cat(batches))
        _save(file, torch.stack(result))
    return torch.load(file, weights_only=True, mmap=True)


def _augmentation() -> Compose:
    """Flips, turns, zooms, shifts, and the light and colour of another camera."""
    return Compose(
        [
            RandFlip(prob=0.5, spatial_axis=0),
            RandFlip(prob=0.5, spatial_axis=1),
            RandAffine(
                prob=0.9,
                rotate_range=np.pi,
                shear_range=0.1,
                translate_range=(8, 10),
                scale_range=0.15,
                padding_mode="reflection",
            ),
            RandZoom(prob=0.3, min_zoom=1.0, max_zoom=1.25),
            RandScaleIntensity(0.1, prob=1.0),
            RandScaleIntensity(0.06, prob=1.0, channel_wise=True),
        ]
    )


def _save(file: Path, tensor: torch.Tensor) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_suffix(f".{os.getpid()}.tmp")
    torch.save(tensor, temporary)
    temporary.replace(file)
