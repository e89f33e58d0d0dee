"""Makes the two boxes of an object from its mask, for studies: annotators draw them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy import ndimage

__all__ = ["boxes_from_mask", "require_box_options"]

_COMPONENTS = ("one", "largest", "all")
_SMALL_PLACEMENTS = ("inset", "inscribed")
_SPECK_SHARE = 0.03  # of the largest component: real masks of one lesion have stray pixels, of two 10% and more
_DIAGONALS_TOUCH = np.ones((3, 3), dtype=bool)


def boxes_from_mask(
    mask: Any,
    big_margin: float = 0.15,
    small_inset: float = 0.2,
    jitter: float = 0.0,
    components: str = "one",
    small_placement: str = "inset",
    random_state: np.random.RandomState | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """
    A small box in the middle of an object and a big one around it.

    With w and h the sides of the object's bounding box, the big box lies ``big_margin`` w (h) outside of it on each
    side, cut at the image's border; the small one ``small_inset`` w (h) inside. ``jitter`` moves every side of both by
    its own uniform draw of up to that share of w (h), but never across the bounding box, so that the small box always
    lies in the bounding box and that in the big one.

    Args:
        mask: (1, H, W) or (H, W), the object where above 0.
        big_margin: distance of the big box from the object, as a share of the object's side; at least 0.
        small_inset: distance of the small box from the object's bounding box, as a share; 0 .. 0.5.
        jitter: largest change of either share; ``small_inset + jitter`` must stay below 0.5.
        components: what to do with several connected components (diagonal neighbours touch): ``"one"`` refuses them,
            but for specks of less than 3% of the largest, which stay outside of the object; ``"largest"`` takes the
            largest, ``"all"`` takes them together as one object.
        small_placement: ``"inset"`` as above: where the object is bent, part of that box is not object (in the median
            46% of it on sagittal slices of the hippocampus, 0.2% on skin lesions). ``"inscribed"``: the largest square
            of pixels that are all object, moved inwards by ``jitter`` only: the box of a careful annotator.
        random_state: where jitter is drawn from; needed when it is above 0.

    Returns:
        small and big box, each float32 (4,): ``[x1, y1, x2, y2]`` in pixels, edges, see
        :mod:`monai_proto.data.boxes.checks`.

    Raises:
        ValueError: when the mask has another shape, is empty, or has several components and ``components="one"``.
    """
    require_box_options(big_margin, small_inset, jitter, components, small_placement)
    if jitter and random_state is None:
        raise ValueError(f"random_state must be given with jitter above 0, got None with jitter {jitter}.")
    pixels = _object_pixels(mask, components)
    height, width = pixels.shape
    bounds = _bounding_box(pixels)
    sides = np.tile(bounds[2:] - bounds[:2], 2)
    outwards = np.array([-1.0, -1.0, 1.0, 1.0])
    moves = np.zeros((2, 4)) if random_state is None else random_state.uniform(-jitter, jitter, (2, 4))
    big = bounds + outwards * sides * np.maximum(big_margin + moves[0], 0.0)
    big = np.clip(big, 0.0, [width, height, width, height])
    if small_placement == "inscribed":
        square = _largest_square(pixels)
        small = square - outwards * (square[2] - square[0]) * np.abs(moves[1])
    else:
        small = bounds - outwards * sides * np.maximum(small_inset + moves[1], 0.0)
    return torch.as_tensor(small, dtype=torch.float32), torch.as_tensor(big, dtype=torch.float32)


def require_box_options(
    big_margin: float, small_inset: float, jitter: float, components: str, small_placement: str
) -> None:
    """
    Raises:
        ValueError: when an option of :func:`boxes_from_mask` is out of range.
    """
    if not big_margin >= 0:
        raise ValueError(f"big_margin must be at least 0, got {big_margin}.")
    if not 0 <= small_inset < 0.5:
        raise ValueError(f"small_inset must be at least 0 and below 0.5, got {small_inset}.")
    if not 0 <= jitter < 0.5 - small_inset:
        raise ValueError(f"jitter must be at least 0 and below 0.5 - small_inset {small_inset}, got {jitter}.")
    if components not in _COMPONENTS:
        raise ValueError(f"components must be one of {_COMPONENTS}, got {components!r}.")
    if small_placement not in _SMALL_PLACEMENTS:
        raise ValueError(f"small_placement must be one of {_SMALL_PLACEMENTS}, got {small_placement!r}.")


def _object_pixels(mask: Any, components: str) -> np.ndarray:
    """Bool (H, W), true on the object that the boxes are of."""
    array = mask.detach().cpu().numpy() if isinstance(mask, torch.Tensor) else np.asarray(mask)
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[0] != 1):
        raise ValueError(f"mask must have shape (1, H, W) or (H, W), got {tuple(array.shape)}.")
    pixels = array.reshape(array.shape[-2:]) > 0
    if not pixels.any():
        raise ValueError("mask is empty: there is no object to put boxes around.")
    if components == "all":
        return pixels
    labelled, count = ndimage.label(pixels, structure=_DIAGONALS_TOUCH)
    if count == 1:
        return pixels
    areas = np.bincount(labelled.ravel())[1:]
    count = int((areas >= _SPECK_SHARE * areas.max()).sum())
    if components == "one" and count > 1:
        largest = sorted(areas.tolist(), reverse=True)[: min(count, 5)]
        raise ValueError(
            f"mask shows {count} objects of {largest} pixels, expected one: "
            'components="largest" takes the largest, components="all" takes them together.'
        )
    return labelled == 1 + int(areas.argmax())


def _bounding_box(pixels: np.ndarray) -> np.ndarray:
    columns, rows = np.flatnonzero(pixels.any(axis=0)), np.flatnonzero(pixels.any(axis=1))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], dtype=np.float64)


def _largest_square(pixels: np.ndarray) -> np.ndarray:
    """Pixels within chessboard distance d of the farthest from the background are a square of side 2d - 1 in it."""
    distance = ndimage.distance_transform_cdt(np.pad(pixels, 1), metric="chessboard")[1:-1, 1:-1]
    y, x = np.unravel_index(distance.argmax(), distance.shape)
    reach = int(distance[y, x]) - 1
    return np.array([x - reach, y - reach, x + reach + 1, y + reach + 1], dtype=np.float64)
