"""
Whether what an explanation points at is what the answer rests on: hide it, and see what happens to the logit.

MONAI's ``OcclusionSensitivity`` makes an explanation, by a patch that slides over the image; this measures one that is
there, with the same region elsewhere as control.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F

__all__ = ["hide_patches", "occlusion_drops", "shifted_region", "strongest_patches"]


def strongest_patches(evidence: torch.Tensor, share: float) -> torch.Tensor:
    """
    The patches with the strongest evidence.

    Args:
        evidence: (B, P).
        share: of the patches, in 0 .. 1; at least one is taken.

    Returns:
        (B, P) bool, the same number in every image.

    Raises:
        ValueError: when the share is not in 0 .. 1.
    """
    if not 0 < share < 1:
        raise ValueError(f"share must be between 0 and 1, got {share}.")
    count = max(1, round(share * evidence.shape[1]))
    chosen = torch.zeros_like(evidence, dtype=torch.bool)
    return chosen.scatter_(1, evidence.topk(count, dim=1).indices, True)


def shifted_region(region: torch.Tensor, grid: Sequence[int], generator: torch.Generator | None = None) -> torch.Tensor:
    """
    The same shapes somewhere else: every image's region moved by a random offset other than none, around the edges.

    Args:
        region: (B, P) bool.
        grid: patches along each spatial axis.
        generator: of the offsets, on the CPU.
    """
    num_patches = region.shape[1]
    offsets = torch.randint(1, num_patches, (len(region),), generator=generator)
    shifts = torch.stack(torch.unravel_index(offsets, tuple(grid)), dim=1).tolist()
    axes = tuple(range(len(grid)))
    rolled = [one.reshape(tuple(grid)).roll(shift, axes).flatten() for one, shift in zip(region, shifts, strict=True)]
    return torch.stack(rolled)


def hide_patches(images: torch.Tensor, region: torch.Tensor, grid: Sequence[int]) -> torch.Tensor:
    """
    Put each image's mean in place of a region.

    Args:
        images: (B, M, *spatial).
        region: (B, P) bool, on the grid.
        grid: patches along each spatial axis.
    """
    mask = F.interpolate(region.reshape(len(region), 1, *grid).float(), size=images.shape[2:], mode="nearest") > 0
    axes = tuple(range(2, images.ndim))
    return torch.where(mask, images.mean(dim=axes, keepdim=True), images)


@torch.no_grad()
def occlusion_drops(
    logits_of: Callable[[torch.Tensor], torch.Tensor],
    images: torch.Tensor,
    region: torch.Tensor,
    grid: Sequence[int],
    generator: torch.Generator | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """
    How much the answer's logit falls when a region is hidden, and when a region of the same shape elsewhere is.

    Args:
        logits_of: images -> logits (B, C).
        images: (B, M, *spatial).
        region: (B, P) bool, for instance of :func:`strongest_patches`.
        grid: patches along each spatial axis.
        generator: of the other region's place.

    Returns:
        the two falls (B,).
    """
    logits = logits_of(images)
    answers = logits.argmax(dim=1, keepdim=True)
    elsewhere = shifted_region(region, grid, generator)
    hidden = (logits_of(hide_patches(images, chosen, grid)) for chosen in (region, elsewhere))
    here, there = ((logits - other).gather(1, answers).squeeze(1) for other in hidden)
    return here, there
