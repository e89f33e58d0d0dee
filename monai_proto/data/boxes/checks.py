"""
Checks of the two boxes of an object, the small one inside of it and the big one around it.

Boxes are ``[x1, y1, x2, y2]`` in pixels, x along the image's width (its last axis), fractions allowed, as MONAI's
``StandardMode`` and COCO have them: corners are the *edges* of pixels, the far edge excluded. Pixel column i reaches
from i to i + 1, so that columns 3, 4 and 5 are ``x1 = 3, x2 = 6``, the width is ``x2 - x1``, and the whole image is
``[0, 0, W, H]``. Such a box keeps its place when the image is resized: it is multiplied by the same factor, as
``segment_anything``'s ``apply_boxes`` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

__all__ = ["box_problems", "check_boxes"]

_TOLERANCE = 1e-3  # pixels: what resizing a box in float32 may move it


def box_problems(small: Any, big: Any, image_size: Sequence[int] | None = None) -> list[str]:
    """
    Everything that is wrong with the two boxes of one object.

    Args:
        small: box inside of the object (4,), in pixels.
        big: box around the object (4,), in pixels.
        image_size: (H, W) of the image; None when it is not known.

    Returns:
        one message for each fault; empty for good boxes.
    """
    boxes = {"small": np.asarray(small, dtype=np.float64), "big": np.asarray(big, dtype=np.float64)}
    problems = [
        f"{name} box must be four finite numbers x1, y1, x2, y2, got {box.tolist()}"
        for name, box in boxes.items()
        if box.shape != (4,) or not np.isfinite(box).all()
    ]
    if problems:
        return problems
    for name, box in boxes.items():
        problems += _corner_problems(name, box)
        if image_size is not None:
            problems += _place_problems(name, box, image_size)
    inner, outer = boxes["small"], boxes["big"]
    inside = (inner[:2] >= outer[:2] - _TOLERANCE).all() and (inner[2:] <= outer[2:] + _TOLERANCE).all()
    if not problems and not inside:
        problems.append(f"small box {_text(inner)} is not inside the big box {_text(outer)}")
    return problems


def check_boxes(
    small: torch.Tensor, big: torch.Tensor, image_size: Sequence[int] | None = None, name: str = "boxes"
) -> None:
    """
    Refuse boxes that cannot be what the user meant. Looks at the values, so that it waits for an accelerator: check
    boxes where they are loaded.

    Args:
        small: boxes inside of the objects (4,) or (B, 4), in pixels.
        big: boxes around the objects, of the same shape.
        image_size: (H, W) of the images; None when it is not known.
        name: the item or file that a message names.

    Raises:
        ValueError: when shapes do not fit; when corners are swapped, a box has no area or lies partly outside of the
            image, or a small box is not inside its big one. A message names each fault.
    """
    small, big = torch.as_tensor(small).detach().cpu(), torch.as_tensor(big).detach().cpu()
    if small.shape != big.shape or small.ndim not in (1, 2) or small.shape[-1] != 4:
        raise ValueError(
            f"{name}: small and big boxes must both have shape (4,) or (B, 4), "
            f"got {tuple(small.shape)} and {tuple(big.shape)}."
        )
    if small.ndim == 1:
        problems = box_problems(small, big, image_size)
    else:
        pairs = enumerate(zip(small, big, strict=True))
        problems = [f"row {row}: {text}" for row, pair in pairs for text in box_problems(*pair, image_size)]
    if problems:
        raise ValueError(f"{name}: {'; '.join(problems)}.")


def _corner_problems(name: str, box: np.ndarray) -> list[str]:
    problems = []
    for axis, (low, high) in {"x": (box[0], box[2]), "y": (box[1], box[3])}.items():
        if low > high:
            problems.append(f"{name} box {_text(box)} has swapped corners: {axis}1 {low:g} > {axis}2 {high:g}")
        elif low == high:
            problems.append(f"{name} box {_text(box)} has zero area: {axis}1 = {axis}2 = {low:g}")
    return problems


def _place_problems(name: str, box: np.ndarray, image_size: Sequence[int]) -> list[str]:
    height, width = (int(side) for side in image_size)
    end = np.array([width, height, width, height])
    if (box >= -_TOLERANCE).all() and (box <= end + _TOLERANCE).all():
        return []
    return [f"{name} box {_text(box)} is not inside of the image, which is {width} wide and {height} high"]


def _text(box: np.ndarray) -> str:
    return f"[{', '.join(f'{value:g}' for value in box)}]"
