"""What the two boxes of an object say of its mask: background outside of the big one, object inside the small one."""

from __future__ import annotations

from collections.abc import Sequence

import torch

__all__ = ["apply_box_prior", "boxes_to_masks"]


def boxes_to_masks(boxes: torch.Tensor, size: Sequence[int], image_size: Sequence[int] | None = None) -> torch.Tensor:
    """
    Boxes as masks: true where the middle of a cell lies in the box.

    Args:
        boxes: (B, 4), ``[x1, y1, x2, y2]`` in pixels, edges, see :mod:`monai_proto.data.boxes.checks`.
        size: (h, w) of the masks.
        image_size: (H, W) of the image that the boxes are given in; ``size`` where there is none. A feature map's
            cell is then H / h by W / w pixels large.

    Returns:
        bool (B, 1, h, w), on the boxes' device.

    Raises:
        ValueError: when ``boxes`` has another shape.
    """
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"boxes must have shape (B, 4), got {tuple(boxes.shape)}.")
    height, width = size
    image_height, image_width = size if image_size is None else image_size
    boxes = boxes.float()
    middle_x = (torch.arange(width, device=boxes.device) + 0.5) * (image_width / width)
    middle_y = (torch.arange(height, device=boxes.device) + 0.5) * (image_height / height)
    in_columns = (middle_x >= boxes[:, 0:1]) & (middle_x < boxes[:, 2:3])
    in_rows = (middle_y >= boxes[:, 1:2]) & (middle_y < boxes[:, 3:4])
    return (in_rows.unsqueeze(2) & in_columns.unsqueeze(1)).unsqueeze(1)


def apply_box_prior(
    scores: torch.Tensor,
    small: torch.Tensor,
    big: torch.Tensor,
    foreground: float = 20.0,
    background: float = -20.0,
    image_size: Sequence[int] | None = None,
) -> torch.Tensor:
    """
    Overwrite a prediction with what is known from the boxes; between them it stays as it is.

    Args:
        scores: logits (B, 1, H, W), or probabilities with ``foreground=1.0, background=0.0``.
        small: boxes inside of the objects (B, 4), in pixels.
        big: boxes around the objects (B, 4).
        foreground: value inside the small box; the logit 20 is a probability of 1 - 2e-9.
        background: value outside of the big box.
        image_size: (H, W) that the boxes are given in, where it is not the size of ``scores``.

    Returns:
        (B, 1, H, W); the gradient flows through what was not overwritten.

    Raises:
        ValueError: when shapes do not fit.
    """
    if scores.ndim != 4 or scores.shape[:2] != (len(small), 1) or len(small) != len(big):
        raise ValueError(
            f"scores must have shape (B, 1, H, W) with a small and a big box for each of B, got {tuple(scores.shape)} "
            f"with {len(small)} small and {len(big)} big boxes."
        )
    size = scores.shape[-2:]
    scores = torch.where(boxes_to_masks(big, size, image_size), scores, background)
    return torch.where(boxes_to_masks(small, size, image_size), foreground, scores)
