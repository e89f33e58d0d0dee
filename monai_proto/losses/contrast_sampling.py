"""Which pixels of a batch are anchors, positives and negatives of the contrastive loss between pixels."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F

from monai_proto.losses.box_prior import boxes_to_masks

__all__ = ["ContrastSampler", "ContrastSamples", "sample_contrast_pixels"]

_HARD_NEGATIVES = ("both", "false_positive", "missed_as_positive")


class ContrastSamples(NamedTuple):
    """
    Rows for :class:`PixelInfoNCELoss`, called ``loss(*samples)``. Their number depends on shapes alone; the masks say
    which of them are real, so that an accelerator's host never waits to count them.

    Args:
        anchors: student projections (B * A, D), images one after the other.
        positives: teacher projections (B * A, D), without gradient.
        negatives: (B * M, D), images one after the other.
        anchor_mask: bool (B * A,).
        negative_mask: bool (B * M,).
    """

    anchors: torch.Tensor
    positives: torch.Tensor
    negatives: torch.Tensor
    anchor_mask: torch.Tensor
    negative_mask: torch.Tensor


def sample_contrast_pixels(
    logits: torch.Tensor,
    small: torch.Tensor,
    big: torch.Tensor,
    trusted: torch.Tensor,
    student: torch.Tensor,
    teacher: torch.Tensor,
    hard_negatives: str = "false_positive",
    num_anchors: int = 256,
    num_hard_negatives: int = 1024,
    num_background: int = 256,
    negatives_from: str = "student",
    generator: torch.Generator | None = None,
    inside: torch.Tensor | None = None,
) -> ContrastSamples:
    """
    Draw pixels on the grid of the projections, uniformly and without repeats, in each image:

    - anchors: inside the small box and in the pseudo-label, of trusted images; their positives are the teacher's
      projections at the same places;
    - hard negatives: in the pseudo-label though outside of the big box (false positives), and, with
      ``hard_negatives="both"``, inside the small box though not in the pseudo-label (missed);
    - in-batch negatives: outside of the big box and not in the pseudo-label. The boxes vouch for them, so that an
      untrusted image still gives negatives.

    All negatives are compared with the anchors of all images. Only background serves as a negative of other images:
    their objects are of the same kind as the anchors, and pushing those apart would work against the goal.

    The missed kind has the same trouble where the small box lies inside of the object: it is object. With
    ``"missed_as_positive"`` such pixels are anchors too, and their positive is the teacher's projection at a random
    place of the same image where the pseudo-label does see the object.

    Args:
        logits: pseudo-label (B, 1, H, W) as the teacher gave it, *before* the boxes overwrote any of it (there would
            be neither false positives nor missed pixels left).
        small: boxes inside of the objects (B, 4), ``[x1, y1, x2, y2]`` in pixels of ``logits``, edges.
        big: boxes around the objects (B, 4).
        trusted: bool (B,), whose pseudo-label gives anchors.
        student: projections (B, D, h, w) over the same field of view as ``logits``.
        teacher: projections (B, D, h, w).
        hard_negatives: ``"both"`` (the method as described), ``"false_positive"`` or ``"missed_as_positive"``.
        num_anchors: anchors of an image at the most, A.
        num_hard_negatives: hard negatives of an image at the most.
        num_background: in-batch negatives of an image at the most; 0 for none.
        negatives_from: ``"student"`` moves both sides of a pair, ``"teacher"`` the anchors only.
        generator: where the draws come from, on any device.
        inside: bool (B, 1, H, W), where there is an image; padding gives no negatives. Everywhere without.

    Returns:
        the rows. An image without an anchor gives none; with neither kind of negative in the batch nothing is
        contrasted, and the loss is 0.

    Raises:
        ValueError: when an option is unknown or shapes do not fit.
    """
    _check(logits, trusted, student, teacher, hard_negatives, negatives_from)
    grid, image_size = student.shape[-2:], logits.shape[-2:]
    # the logit at the middle of each cell, as boxes_to_masks looks at the middle
    labels = (F.interpolate(logits.detach().float(), size=grid, mode="nearest-exact") > 0).flatten(1)
    in_small = boxes_to_masks(small, grid, image_size).flatten(1)
    outside = ~boxes_to_masks(big, grid, image_size).flatten(1)
    if inside is not None:
        outside &= F.interpolate(inside.float(), size=grid, mode="nearest-exact").flatten(1) > 0
    trusted = trusted.unsqueeze(1)

    recognised, missed = in_small & labels, in_small & ~labels
    false_positives, background = outside & labels, outside & ~labels
    candidates = recognised
    if hard_negatives == "missed_as_positive":
        candidates = in_small & recognised.any(dim=1, keepdim=True)
    anchor_at, anchor_mask = _draw(candidates & trusted, num_anchors, generator)
    positive_at = anchor_at
    if hard_negatives == "missed_as_positive":
        positive_at = torch.where(
            recognised.gather(1, anchor_at), anchor_at, _draw_with_repeats(recognised, anchor_at.shape[1], generator)
        )
    hard = false_positives | missed if hard_negatives == "both" else false_positives
    hard_at, hard_mask = _draw(hard, num_hard_negatives, generator)
    background_at, background_mask = _draw(background, num_background, generator)

    source = student if negatives_from == "student" else teacher.detach()
    return ContrastSamples(
        anchors=_rows_at(student, anchor_at),
        positives=_rows_at(teacher.detach(), positive_at),
        negatives=_rows_at(source, torch.cat([hard_at, background_at], dim=1)),
        anchor_mask=anchor_mask.flatten(),
        negative_mask=torch.cat([hard_mask, background_mask], dim=1).flatten(),
    )


class ContrastSampler:
    """
    :func:`sample_contrast_pixels` with its options: what draws pixels in a trainer.

    Args:
        hard_negatives: ``"both"``, ``"false_positive"`` or ``"missed_as_positive"``.
        num_anchors: anchors of an image at the most.
        num_hard_negatives: hard negatives of an image at the most.
        num_background: in-batch negatives of an image at the most; 0 for none.

    Raises:
        ValueError: when ``hard_negatives`` is unknown.
    """

    def __init__(
        self,
        hard_negatives: str = "false_positive",
        num_anchors: int = 256,
        num_hard_negatives: int = 1024,
        num_background: int = 256,
    ) -> None:
        _require_hard_negatives(hard_negatives)
        self.hard_negatives = hard_negatives
        self.num_anchors = num_anchors
        self.num_hard_negatives = num_hard_negatives
        self.num_background = num_background

    def __call__(
        self,
        logits: torch.Tensor,
        small: torch.Tensor,
        big: torch.Tensor,
        trusted: torch.Tensor,
        student: torch.Tensor,
        teacher: torch.Tensor,
        inside: torch.Tensor | None = None,
    ) -> ContrastSamples:
        """
        Args:
            logits: the teacher's (B, 1, H, W), as they were before the boxes overwrote any of them.
            small: boxes inside of the objects (B, 4), in pixels of ``logits``.
            big: boxes around them (B, 4).
            trusted: bool (B,), whose pseudo-label gives anchors.
            student: projections (B, D, h, w).
            teacher: projections (B, D, h, w).
            inside: bool (B, 1, H, W), where there is an image; everywhere without.

        Raises:
            ValueError: when shapes do not fit.
        """
        return sample_contrast_pixels(
            logits,
            small,
            big,
            trusted,
            student,
            teacher,
            self.hard_negatives,
            self.num_anchors,
            self.num_hard_negatives,
            self.num_background,
            inside=inside,
        )


def _draw(candidates: torch.Tensor, count: int, generator: torch.Generator | None) -> tuple[torch.Tensor, torch.Tensor]:
    """Up to ``count`` distinct true cells of each row of (B, P): their indices (B, K), and which of these are real."""
    device = candidates.device if generator is None else generator.device
    keys = torch.rand(candidates.shape, device=device, generator=generator).to(candidates.device)
    keys, cells = keys.masked_fill(~candidates, -1.0).topk(min(count, candidates.shape[1]), dim=1)
    return cells, keys >= 0


def _draw_with_repeats(candidates: torch.Tensor, count: int, generator: torch.Generator | None) -> torch.Tensor:
    """``count`` true cells of each row, again from the first when there are fewer; any cell in a row without one."""
    cells, real = _draw(candidates, count, generator)
    turns = torch.arange(count, device=cells.device) % real.sum(dim=1, keepdim=True).clamp(min=1)
    return cells.gather(1, turns)


def _rows_at(features: torch.Tensor, cells: torch.Tensor) -> torch.Tensor:
    rows = features.flatten(2).transpose(1, 2)
    return rows.gather(1, cells.unsqueeze(-1).expand(-1, -1, rows.shape[2])).flatten(0, 1)


def _check(
    logits: torch.Tensor,
    trusted: torch.Tensor,
    student: torch.Tensor,
    teacher: torch.Tensor,
    hard_negatives: str,
    negatives_from: str,
) -> None:
    _require_hard_negatives(hard_negatives)
    if negatives_from not in ("student", "teacher"):
        raise ValueError(f"negatives_from must be 'student' or 'teacher', got {negatives_from!r}.")
    if logits.ndim != 4 or logits.shape[1] != 1:
        raise ValueError(f"logits must have shape (B, 1, H, W), got {tuple(logits.shape)}.")
    if student.ndim != 4 or student.shape != teacher.shape or student.shape[0] != logits.shape[0]:
        raise ValueError(
            f"student and teacher must both have shape (B, D, h, w) with B = {logits.shape[0]}, "
            f"got {tuple(student.shape)} and {tuple(teacher.shape)}."
        )
    if trusted.dtype != torch.bool or trusted.shape != logits.shape[:1]:
        raise ValueError(f"trusted must be bool ({logits.shape[0]},), got {trusted.dtype} {tuple(trusted.shape)}.")


def _require_hard_negatives(hard_negatives: str) -> None:
    if hard_negatives not in _HARD_NEGATIVES:
        raise ValueError(f"hard_negatives must be one of {_HARD_NEGATIVES}, got {hard_negatives!r}.")
