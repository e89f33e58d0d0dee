"""A dermoscopy phantom data set on disk: images, masks, HAM10000's table and a data list, always the same bytes."""

from __future__ import annotations

import csv
import logging
import os
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from monai_proto.data.classification_datalist import write_classification_datalist
from monai_proto.phantoms.dermoscopy.phantom import DERMOSCOPY_CLASSES, make_dermoscopy_phantom
from monai_proto.phantoms.dermoscopy.plan import (
    DERMOSCOPY_CLASS_WEIGHTS,
    METADATA_COLUMNS,
    PlannedLesion,
    make_metadata,
    plan_lesions,
)
from monai_proto.phantoms.phantom import whole_folder

__all__ = ["write_dermoscopy_phantom_dataset"]

logger = logging.getLogger(__name__)

_JPEG_QUALITY = 92
_SPLIT_NAMES = {"training": "train", "validation": "validation", "test": "test"}


def write_dermoscopy_phantom_dataset(
    output_dir: str | os.PathLike,
    num_training: int = 280,
    num_validation: int = 70,
    num_test: int = 70,
    seed: int = 0,
    class_weights: Sequence[float] = DERMOSCOPY_CLASS_WEIGHTS,
    image_size: tuple[int, int] = (150, 200),
) -> Path:
    """Write dermoscopic images of seven kinds of lesion with masks; some lesions have two images, always in one part.

    The folder holds ``images/*.jpg``, ``masks/*.png`` (0 and 255), ``metadata.csv`` with the columns of HAM10000 and
    ``split``, and ``dataset.json``, whose entries have ``image``, ``mask``, ``label``, ``image_id`` and ``lesion_id``.

    Args:
        output_dir: folder to make; it must not exist or be empty. It appears when it is complete, or not at all.
        num_training: number of training images, at least one for each class, as in the other parts.
        num_validation: number of validation images.
        num_test: number of test images.
        seed: seed of the data set.
        class_weights: how frequent each of ``DERMOSCOPY_CLASSES`` is, in any unit; nevi are most frequent by default.
        image_size: height and width in pixels.

    Returns:
        path of the data list, ``dataset.json``, with paths relative to its folder.

    Raises:
        ValueError: when a part has fewer images than there are classes, or ``seed``, ``class_weights`` or
            ``image_size`` does not fit.
        FileExistsError: when ``output_dir`` has content.
    """
    numbers = {"training": num_training, "validation": num_validation, "test": num_test}
    plan = plan_lesions(numbers, seed, class_weights)
    output = Path(output_dir).absolute()
    with whole_folder(output) as folder:
        logger.info("Making %d dermoscopy phantoms in %s", sum(numbers.values()), output)
        _fill(folder, plan, seed, image_size)
    return output / "dataset.json"


def _fill(folder: Path, plan: dict[str, list[PlannedLesion]], seed: int, image_size: tuple[int, int]) -> None:
    """Write all images, then the table and the data list."""
    (folder / "images").mkdir()
    (folder / "masks").mkdir()
    entries: dict[str, list[dict[str, str | int]]] = {part: [] for part in plan}
    rows: list[dict[str, str]] = []
    for part, lesions in plan.items():
        for lesion in lesions:
            for view in range(lesion.num_views):
                entry = _write_image(folder, lesion, view, seed, image_size)
                entries[part].append(entry)
                patient = make_metadata(seed, lesion.number, lesion.label)
                identity = {name: str(entry[name]) for name in ("lesion_id", "image_id")}
                rows.append({**identity, **patient, "split": _SPLIT_NAMES[part]})
    with open(folder / "metadata.csv", "w", encoding="utf-8", newline="") as stream:
        table = csv.DictWriter(stream, METADATA_COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
    properties = {
        "name": "dermoscopy_phantom",
        "description": "Synthetic dermoscopic images of seven kinds of skin lesion (monai_proto phantoms)",
        "labels": {str(label): name for label, name in enumerate(DERMOSCOPY_CLASSES)},
    }
    write_classification_datalist(folder, properties, **entries)


def _write_image(
    folder: Path, lesion: PlannedLesion, view: int, seed: int, image_size: tuple[int, int]
) -> dict[str, str | int]:
    """Write one image with its mask, and give its entry of the data list."""
    phantom = make_dermoscopy_phantom(seed, lesion.number, lesion.label, image_size, view)
    lesion_id = f"dermoscopy_phantom_{lesion.number:04d}"
    image_id = f"{lesion_id}_{view}"
    entry = {"image": f"images/{image_id}.jpg", "mask": f"masks/{image_id}.png"}
    Image.fromarray(phantom.image).save(folder / entry["image"], quality=_JPEG_QUALITY)
    Image.fromarray(phantom.mask * 255).save(folder / entry["mask"])
    return {**entry, "label": phantom.label, "image_id": image_id, "lesion_id": lesion_id}
