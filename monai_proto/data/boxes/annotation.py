"""One object of one picture with its two boxes, on its way into a data list; how boxes are made from masks."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from monai_proto.data.boxes.from_mask import boxes_from_mask, require_box_options
from monai_proto.data.case import Case

__all__ = ["BoxAnnotation", "BoxOptions", "mark_repeated_cases"]

_DECIMALS = 2  # of a pixel, in the data list
_LEAST_OBJECT_SHARE = 0.9  # of the small box: below it, what the boxes say of the mask is too often wrong


@dataclass
class BoxAnnotation(Case):
    """
    An object, its boxes, and what was found to be wrong with them.

    Args:
        case: unique name of the object, the ``image_id`` of the data list.
        image: file of the picture or volume; None when there is none.
        image_id: name of the file without suffix, by which tables of splits know it.
        small_box: ``[x1, y1, x2, y2]`` inside of the object, in pixels, edges, see
            :mod:`monai_proto.data.boxes.checks`; None until it is known.
        big_box: the same around the object.
        mask: file of the object's mask; None when there is none.
        source: where the boxes come from, for messages: a file, or a line of it.
        axis: of a slice of a volume, the voxel axis (0, 1, 2) that it is perpendicular to; None for a picture.
        slice_index: index of the slice along ``axis``.
        label_values: values of the object in a label map; empty for a binary mask.
        declared_size: (H, W) of the picture that the boxes were drawn on, where their file says it.
        subject: patient or lesion that the picture is of; the image itself when None.
        split: ``"training"``, ``"validation"`` or ``"test"``; empty until it is known.
        checksums, problems, notes: see :class:`monai_proto.data.case.Case`.
    """

    image: Path | None
    image_id: str
    small_box: Sequence[float] | None = None
    big_box: Sequence[float] | None = None
    mask: Path | None = None
    source: str = ""
    axis: int | None = None
    slice_index: int | None = None
    label_values: tuple[int, ...] = ()
    declared_size: tuple[int, int] | None = None
    subject: str | None = None
    split: str = ""

    @property
    def files(self) -> list[str]:
        """The files that the object has."""
        return [str(file) for file in (self.image, self.mask) if file is not None]

    @property
    def image_file(self) -> Path:
        """
        The picture or volume of an object that has one.

        Raises:
            ValueError: when it has none.
        """
        if self.image is None:
            raise ValueError(f"object {self.case} has no image.")
        return self.image

    @property
    def boxes(self) -> tuple[Sequence[float], Sequence[float]]:
        """
        The small and the big box of an object whose boxes are known.

        Raises:
            ValueError: when they are not.
        """
        if self.small_box is None or self.big_box is None:
            raise ValueError(f"object {self.case} has no boxes.")
        return self.small_box, self.big_box

    def as_item(self, folder: str | os.PathLike, with_mask: bool = True) -> dict[str, Any]:
        """
        The item of a data list in ``folder``; paths are relative to it.

        Args:
            folder: where the data list will lie.
            with_mask: whether the item names its mask.
        """
        small, big = ([round(float(value), _DECIMALS) for value in box] for box in self.boxes)
        item: dict[str, Any] = {
            "image": _relative(self.image_file, folder),
            "small_box": small,
            "big_box": big,
            "image_id": self.case,
            "patient_id": self.subject or self.image_id,
        }
        if self.axis is not None:
            item |= {"axis": self.axis, "slice": self.slice_index, "label_values": list(self.label_values)}
        if with_mask and self.mask is not None:
            item["mask"] = _relative(self.mask, folder)
        return item


def mark_repeated_cases(annotations: Iterable[BoxAnnotation]) -> None:
    """
    Give a problem to objects that are annotated more than once: to all but the first when their boxes are the same, to
    all of them when they are not, since nothing says which is right.
    """
    by_case: dict[str, list[BoxAnnotation]] = {}
    for annotation in annotations:
        if not annotation.problems:
            by_case.setdefault(annotation.case, []).append(annotation)
    for case, same in by_case.items():
        if len({tuple(tuple(box) for box in one.boxes) for one in same}) > 1:
            places = ", ".join(one.source for one in same)
            for one in same:
                one.problems.append(f"annotated {len(same)} times with different boxes ({places}): name the objects")
        else:
            for one in same[1:]:
                one.problems.append(f"duplicate: {case} is annotated the same in {same[0].source}")


@dataclass(frozen=True)
class BoxOptions:
    """
    Options of :func:`boxes_from_mask`, and the seed of its jitter.

    Raises:
        ValueError: when an option is out of range.
    """

    big_margin: float = 0.15
    small_inset: float = 0.2
    jitter: float = 0.05
    components: str = "one"
    small_placement: str = "inset"
    seed: int = 0

    def __post_init__(self) -> None:
        require_box_options(self.big_margin, self.small_inset, self.jitter, self.components, self.small_placement)

    def annotate(self, annotation: BoxAnnotation, mask: np.ndarray) -> None:
        """
        Set the boxes of an object from its mask, or its problem where there are none to be had.

        Jitter depends on the seed and on the object's name, so that objects that come later do not change it.

        Args:
            annotation: the object.
            mask: bool (H, W).
        """
        digest = hashlib.sha256(f"{self.seed}/{annotation.case}".encode()).digest()
        options = asdict(self)
        options.pop("seed")
        random_state = np.random.RandomState(int.from_bytes(digest[:4], "big"))
        try:
            small, big = boxes_from_mask(mask, random_state=random_state, **options)
        except ValueError as error:
            annotation.problems.append(str(error).rstrip("."))
            return
        annotation.small_box, annotation.big_box = small.tolist(), big.tolist()
        share = _object_share(mask, annotation.small_box)
        if share < _LEAST_OBJECT_SHARE:
            annotation.notes.append(f"only {share:.0%} of the small box is object")

    def describe(self) -> dict[str, Any]:
        """For the data list: what the boxes were made with."""
        return {"source": "masks", **asdict(self)}


def _relative(file: Path, folder: str | os.PathLike) -> str:
    return Path(os.path.relpath(file.resolve(), Path(folder).resolve())).as_posix()


def _object_share(mask: np.ndarray, box: list[float]) -> float:
    """Of the pixels whose middle lies in the box; 1 when there are none."""
    x1, y1, x2, y2 = (int(np.ceil(value - 0.5)) for value in box)
    inside = mask[y1:y2, x1:x2]
    return float(inside.mean()) if inside.size else 1.0
