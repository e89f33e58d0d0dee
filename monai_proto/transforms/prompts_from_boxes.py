"""Makes the prompts of a promptable segmenter from the two boxes of an object."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Mapping
from typing import Any, NamedTuple

import torch
from monai.transforms import Transform

from monai_proto.transforms.item_name import item_name
from monai_proto.transforms.ring_points import draw_ring_points, sample_ring_points

__all__ = [
    "PROMPTS",
    "RING_LABELS",
    "RING_PROMPTS",
    "Prompts",
    "PromptsFromBoxesd",
    "prompted_box",
    "prompts_from_boxes",
    "require_prompt_options",
]

_SHARE_OF_SMALL = {"big_box": 0.0, "both": 0.0, "loose_box": 1 / 3, "middle_box": 0.5}
PROMPTS = (*_SHARE_OF_SMALL, "ring_points")
RING_PROMPTS = ("ring_points", "both")
RING_LABELS = ("foreground", "background")


class Prompts(NamedTuple):
    """
    Arguments of a segmenter, None where a prompt has no such part.

    Attributes:
        boxes: float32 (B, 4).
        points: float32 (B, N, 2).
        labels: int64 (B, N), 1 foreground and 0 background.
    """

    boxes: torch.Tensor | None
    points: torch.Tensor | None
    labels: torch.Tensor | None


def prompts_from_boxes(
    small: torch.Tensor,
    big: torch.Tensor,
    prompt: str = "big_box",
    ring_labels: str = "foreground",
    num_points: int = 10,
    generator: torch.Generator | None = None,
    checked: bool = False,
) -> Prompts:
    """
    Args:
        small: boxes inside of the objects (B, 4), in pixels.
        big: boxes around the objects (B, 4).
        prompt: ``"big_box"``; ``"middle_box"``, halfway between the two, close to the object's own bounding box when it
            is as far from the one as from the other; ``"loose_box"``, a third of the way from the big box to the small
            one: a little larger, as the boxes that LiteMedSAM was trained with; ``"ring_points"``, points between the
            boxes; ``"both"``, these with the big box as one prompt.
        ring_labels: what the points are said to lie on, ``"foreground"`` or ``"background"``. Nothing says it of one
            point: most of the ring is background where boxes are loose.
        num_points: number N of ring points.
        generator: where they are drawn from.
        checked: whether :func:`require_rings` has seen the boxes; no value is then looked at, which a host would have
            to wait for.

    Raises:
        ValueError: when an option is unknown, or boxes that were not checked give no ring.
    """
    require_prompt_options(prompt, ring_labels)
    boxes = prompted_box(small, big, prompt).float() if prompt in _SHARE_OF_SMALL else None
    if prompt not in RING_PROMPTS:
        return Prompts(boxes, None, None)
    points = (draw_ring_points if checked else sample_ring_points)(small, big, num_points, generator)
    labels = torch.full(points.shape[:2], int(ring_labels == "foreground"), device=points.device)
    return Prompts(boxes, points.float(), labels)


def prompted_box(small: Any, big: Any, prompt: str) -> Any:
    """The box that belongs to a prompt other than ``"ring_points"``, between the small one and the big one."""
    share = _SHARE_OF_SMALL[prompt]
    return share * small + (1 - share) * big


class PromptsFromBoxesd(Transform):
    """
    :func:`prompts_from_boxes` for an item, under the keys ``prompt_boxes``, ``prompt_points`` and ``prompt_labels``.

    Points are drawn from a seed that the boxes themselves give, so that one object has the same points in every
    evaluation of every model; training draws its own.

    Args:
        prompt, ring_labels, num_points: see :func:`prompts_from_boxes`.
        small_key: key of the small box (4,).
        big_key: key of the big box (4,).

    Raises:
        ValueError: when an option is unknown.
    """

    def __init__(
        self,
        prompt: str = "big_box",
        ring_labels: str = "foreground",
        num_points: int = 10,
        small_key: Hashable = "small_box",
        big_key: Hashable = "big_box",
    ) -> None:
        require_prompt_options(prompt, ring_labels)
        self.prompt = prompt
        self.ring_labels = ring_labels
        self.num_points = num_points
        self.small_key = small_key
        self.big_key = big_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """
        Raises:
            ValueError: naming the item, when the ring between its boxes holds no pixel.
        """
        small, big = (torch.as_tensor(data[key], dtype=torch.float32)[None] for key in (self.small_key, self.big_key))
        content = torch.cat([small, big]).numpy().tobytes()
        generator = torch.Generator().manual_seed(
            int.from_bytes(hashlib.blake2b(content, digest_size=7).digest(), "little")
        )
        try:
            prompts = prompts_from_boxes(small, big, self.prompt, self.ring_labels, self.num_points, generator)
        except ValueError as error:
            raise ValueError(f"{item_name(data, ['image', 'mask'])}: {error}") from error
        given: dict[Hashable, Any] = {
            f"prompt_{name}": value[0] for name, value in prompts._asdict().items() if value is not None
        }
        return {**data, **given}


def require_prompt_options(prompt: str, ring_labels: str) -> None:
    """
    Raises:
        ValueError: when one of them is unknown.
    """
    if prompt not in PROMPTS:
        raise ValueError(f"prompt must be one of {PROMPTS}, got {prompt!r}.")
    if ring_labels not in RING_LABELS:
        raise ValueError(f"ring_labels must be one of {RING_LABELS}, got {ring_labels!r}.")
