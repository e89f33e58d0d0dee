"""How boxes are made from masks, the same for pictures and for slices of volumes."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from monai_proto.data.box_annotations import BoxAnnotation
from monai_proto.transforms.boxes_from_mask import boxes_from_mask, require_box_options

__all__ = ["BoxOptions"]

_LEAST_OBJECT_SHARE = 0.9  # of the small box: below it, what the boxes say of the mask is too often wrong


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


def _object_share(mask: np.ndarray, box: list[float]) -> float:
    """Of the pixels whose middle lies in the box; 1 when there are none."""
    x1, y1, x2, y2 = (int(np.ceil(value - 0.5)) for value in box)
    inside = mask[y1:y2, x1:x2]
    return float(inside.mean()) if inside.size else 1.0
