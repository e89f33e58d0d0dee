"""Draws prompt points from the ring between the small and the big box of an object."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any, NamedTuple

import torch
from monai.transforms import MapTransform, Randomizable

from monai_proto.data.boxes.checks import check_boxes
from monai_proto.transforms.item_name import item_name

__all__ = ["SampleRingPointsd", "draw_ring_points", "require_rings", "sample_ring_points"]


def sample_ring_points(
    small: torch.Tensor, big: torch.Tensor, num_points: int = 10, generator: torch.Generator | None = None
) -> torch.Tensor:
    """
    Pixels inside the big box and outside of the small one, each as likely as any other.

    A pixel (x, y), which reaches to (x + 1, y + 1), is taken when all of it lies inside the big box, no part of it
    inside the small one, and (x, y) not on the small one's edge either: such a point lies in the ring whether its
    reader counts the far edge in or not.

    Looks at the values of the boxes, so that it waits for an accelerator. A training loop checks boxes where a batch
    comes in (:func:`require_rings`) and then calls :func:`draw_ring_points`.

    Args:
        small: boxes inside of the objects (4,) or (B, 4), ``[x1, y1, x2, y2]`` in pixels, edges.
        big: boxes around the objects, of the same shape.
        num_points: number N of points, at least 1.
        generator: where the draw comes from, on any device.

    Returns:
        int64 (N, 2) or (B, N, 2), x before y: indices of pixels, to whose middle ``segment_anything``'s prompt encoder
        moves them by adding 0.5. Distinct where the ring has N pixels; where it has fewer, some come more than once.

    Raises:
        ValueError: when ``num_points`` is below 1; when corners are swapped, a box has no area, or a small box is not
            inside its big one; when a ring holds no pixel.
    """
    if num_points < 1:
        raise ValueError(f"num_points must be at least 1, got {num_points}.")
    small, big = torch.as_tensor(small), torch.as_tensor(big)
    require_rings(small, big)
    points = draw_ring_points(small.reshape(-1, 4), big.reshape(-1, 4), num_points, generator)
    return points if small.ndim == 2 else points[0]


def require_rings(small: torch.Tensor, big: torch.Tensor) -> None:
    """
    Refuse boxes between which no point can be drawn. Looks at their values.

    Args:
        small: boxes inside of the objects (4,) or (B, 4), in pixels.
        big: boxes around the objects, of the same shape.

    Raises:
        ValueError: when corners are swapped, a box has no area, or a small box is not inside its big one; when a ring
            holds no pixel.
    """
    check_boxes(small, big, name="ring points")
    empty = (_ring(small.reshape(-1, 4), big.reshape(-1, 4)).pixels.reshape(-1) < 1).nonzero().reshape(-1).tolist()
    if empty:
        row = empty[0]
        place = f" of row {row}" if small.ndim == 2 else ""
        raise ValueError(
            f"ring{place} between small box {small.reshape(-1, 4)[row].tolist()} and big box "
            f"{big.reshape(-1, 4)[row].tolist()} is empty: no pixel lies inside the big box and outside of the small."
        )


def draw_ring_points(
    small: torch.Tensor, big: torch.Tensor, num_points: int, generator: torch.Generator | None = None
) -> torch.Tensor:
    """
    :func:`sample_ring_points` of boxes that were checked: no value is looked at, and the host does not wait.

    The ring is whole rows above and below the small box and parts of rows beside it, so that a pixel's number in it
    gives its place: nothing is drawn and rejected, and the cost does not depend on the boxes' sizes.

    Args:
        small: boxes inside of the objects (B, 4), in pixels; as :func:`require_rings` wants them.
        big: boxes around the objects (B, 4).
        num_points: number N of points, at least 1.
        generator: where the draw comes from, on any device.

    Returns:
        int64 (B, N, 2), x before y.
    """
    ring = _ring(small, big)
    number = _draw(ring.pixels, num_points, generator)
    width, beside = ring.width.clamp(min=1), (ring.left + ring.right).clamp(min=1)
    row, column = number // width, number % width
    row_beside, column_beside = (number - ring.whole) // beside, (number - ring.whole) % beside
    in_whole_row = number < ring.whole
    x_beside = torch.where(column_beside < ring.left, ring.x1 + column_beside, ring.hole_x2 + column_beside - ring.left)
    y_whole = torch.where(row < ring.above, ring.y1 + row, ring.hole_y2 + row - ring.above)
    x = torch.where(in_whole_row, ring.x1 + column, x_beside)
    y = torch.where(in_whole_row, y_whole, ring.hole_y1 + row_beside)
    return torch.stack([x, y], dim=-1)


class SampleRingPointsd(Randomizable, MapTransform):
    """
    :func:`sample_ring_points` for the boxes of an item; ``set_random_state`` makes it repeatable.

    Args:
        small_key: key of the box inside of the object (4,).
        big_key: key of the box around it (4,).
        points_key: where the points (N, 2) are put.
        num_points: number N of points.

    Raises:
        ValueError: when ``num_points`` is below 1.
    """

    def __init__(
        self,
        small_key: Hashable = "small_box",
        big_key: Hashable = "big_box",
        points_key: Hashable = "points",
        num_points: int = 10,
    ) -> None:
        super().__init__((small_key, big_key))
        if num_points < 1:
            raise ValueError(f"num_points must be at least 1, got {num_points}.")
        self.points_key = points_key
        self.num_points = num_points
        self._seed = 0

    def randomize(self, data: Any = None) -> None:
        self._seed = int(self.R.randint(2**31 - 1))

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """
        Raises:
            ValueError: naming the item, when its boxes do not fit or the ring between them holds no pixel.
        """
        self.randomize()
        small, big = (torch.as_tensor(data[key]) for key in self.key_iterator(data))
        try:
            points = sample_ring_points(small, big, self.num_points, torch.Generator().manual_seed(self._seed))
        except ValueError as error:
            raise ValueError(f"{item_name(data, ['image', 'mask'])}: {error}") from error
        return {**data, self.points_key: points}


class _Ring(NamedTuple):
    """The pixels of rings as int64 (B, 1): where they start, the hole in them, and how many lie on each side of it."""

    x1: torch.Tensor
    y1: torch.Tensor
    width: torch.Tensor
    hole_y1: torch.Tensor
    hole_x2: torch.Tensor
    hole_y2: torch.Tensor
    above: torch.Tensor
    left: torch.Tensor
    right: torch.Tensor
    whole: torch.Tensor  # pixels in rows above and below the hole
    pixels: torch.Tensor  # all of them


def _ring(small: torch.Tensor, big: torch.Tensor) -> _Ring:
    inner, outer = small.detach(), big.detach()
    # first pixel and the one after the last, of the big box and of what the small one touches
    x1, y1, x2, y2 = torch.cat([outer[:, :2].ceil(), outer[:, 2:].floor()], dim=1).long().unsqueeze(-1).unbind(1)
    hole = torch.cat([inner[:, :2].floor(), inner[:, 2:].floor() + 1], dim=1).long()
    hole_x1, hole_y1, hole_x2, hole_y2 = hole.unsqueeze(-1).unbind(1)
    hole_x1, hole_x2 = (torch.minimum(torch.maximum(x, x1), x2.maximum(x1)) for x in (hole_x1, hole_x2))
    hole_y1, hole_y2 = (torch.minimum(torch.maximum(y, y1), y2.maximum(y1)) for y in (hole_y1, hole_y2))
    width = (x2 - x1).clamp(min=0)
    above, beside, below = hole_y1 - y1, hole_y2 - hole_y1, (y2 - hole_y2).clamp(min=0)
    left, right = hole_x1 - x1, (x2 - hole_x2).clamp(min=0)
    whole = (above + below) * width
    pixels = whole + beside * (left + right)
    return _Ring(x1, y1, width, hole_y1, hole_x2, hole_y2, above, left, right, whole, pixels)


def _draw(pixels: torch.Tensor, num_points: int, generator: torch.Generator | None) -> torch.Tensor:
    """
    For each row N distinct numbers below ``pixels`` (B, 1), every set of them equally likely; with repeats where there
    are fewer than N. Floyd's algorithm (Bentley and Floyd, "A sample of brilliance", CACM 1987): the j-th draw is from
    one number more than the one before, and one that was drawn already is replaced by that new number.
    """
    device = pixels.device if generator is None else generator.device
    draws = torch.rand((len(pixels), num_points), dtype=torch.float64, device=device, generator=generator)
    draws = draws.to(pixels.device)
    enough = pixels >= num_points
    last = torch.where(enough, pixels - num_points + torch.arange(num_points, device=pixels.device), pixels - 1)
    numbers = (draws * (last + 1)).long().minimum(last)
    for j in range(1, num_points):
        drawn_already = (numbers[:, :j] == numbers[:, j : j + 1]).any(dim=1) & enough[:, 0]
        numbers[:, j] = torch.where(drawn_already, last[:, j], numbers[:, j])
    return numbers
