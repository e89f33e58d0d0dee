"""Pulls pixels towards their counterparts and away from pixels that they must not be taken for."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from monai_proto.networks.precision import in_float32
from monai_proto.networks.tensor_checks import require_rows

__all__ = ["PixelInfoNCELoss", "pixel_info_nce"]


@in_float32
def pixel_info_nce(
    anchors: torch.Tensor,
    positives: torch.Tensor,
    negatives: torch.Tensor,
    temperature: float = 0.1,
    anchor_mask: torch.Tensor | None = None,
    negative_mask: torch.Tensor | None = None,
) -> torch.Tensor:
    """
    Mean over anchors of ``-log(e^(a.p/t) / (e^(a.p/t) + sum_m e^(a.n_m/t)))`` (van den Oord et al., "Representation
    learning with contrastive predictive coding", 2018), rows scaled to length 1, by log-sum-exp in float32.

    Without a negative the formula itself gives 0, with a gradient of 0; so does this without an anchor. The masks are
    for samplers that give a fixed number of rows, some of them empty, so that the host need not wait to count them.

    Args:
        anchors: (N, D), floating, of any length.
        positives: the counterpart of each anchor (N, D).
        negatives: (M, D), compared with every anchor.
        temperature: t, above 0.
        anchor_mask: bool (N,), which anchors take part; all without.
        negative_mask: bool (M,), which negatives take part; all without.

    Returns:
        scalar, float32.
    """
    anchors, positives, negatives = (F.normalize(rows, dim=1) for rows in (anchors, positives, negatives))
    positive_logits = (anchors * positives).sum(dim=1, keepdim=True) / temperature
    negative_logits = anchors @ negatives.T / temperature
    if negative_mask is not None:
        negative_logits = negative_logits.masked_fill(~negative_mask, -torch.inf)
    losses = torch.cat([positive_logits, negative_logits], dim=1).logsumexp(dim=1) - positive_logits.squeeze(1)
    if anchor_mask is None:
        return losses.sum() / max(len(losses), 1)
    return torch.where(anchor_mask, losses, 0.0).sum() / anchor_mask.sum().clamp(min=1)


class PixelInfoNCELoss(nn.Module):
    """
    :func:`pixel_info_nce` as a module.

    Args:
        temperature: what the cosines are divided by.

    Raises:
        ValueError: when ``temperature`` is not above 0.

    Example::

        loss = PixelInfoNCELoss(temperature=0.1)
        anchors = torch.randn(256, 64, requires_grad=True)
        loss(anchors, torch.randn(256, 64), torch.randn(1024, 64)).backward()
    """

    def __init__(self, temperature: float = 0.1) -> None:
        super().__init__()
        if not temperature > 0:
            raise ValueError(f"temperature must be above 0, got {temperature}.")
        self.temperature = temperature

    def forward(
        self,
        anchors: torch.Tensor,
        positives: torch.Tensor,
        negatives: torch.Tensor,
        anchor_mask: torch.Tensor | None = None,
        negative_mask: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """
        Args:
            anchors: (N, D).
            positives: the counterpart of each anchor (N, D).
            negatives: (M, D).
            anchor_mask: bool (N,), which anchors take part; all without.
            negative_mask: bool (M,), which negatives take part; all without.

        Returns:
            scalar, float32; 0 that keeps the graph when there is no anchor or no negative.

        Raises:
            ValueError: when shapes do not fit.
        """
        if anchors.ndim != 2:
            raise ValueError(f"anchors must have shape (N, D), got {tuple(anchors.shape)}.")
        require_rows(positives, anchors.shape[1], "positives")
        require_rows(negatives, anchors.shape[1], "negatives")
        if positives.shape != anchors.shape:
            raise ValueError(
                f"positives must have a row for each anchor, {tuple(anchors.shape)}, got {tuple(positives.shape)}."
            )
        for name, mask, rows in (("anchor_mask", anchor_mask, anchors), ("negative_mask", negative_mask, negatives)):
            if mask is not None and (mask.dtype != torch.bool or mask.shape != rows.shape[:1]):
                raise ValueError(f"{name} must be bool ({len(rows)},), got {mask.dtype} {tuple(mask.shape)}.")
        if anchors.device.type == "cpu":  # nobody waits here, and an empty row would cost as much as a real one
            if anchor_mask is not None:
                anchors, positives, anchor_mask = anchors[anchor_mask], positives[anchor_mask], None
            if negative_mask is not None:
                negatives, negative_mask = negatives[negative_mask], None
        return pixel_info_nce(anchors, positives, negatives, self.temperature, anchor_mask, negative_mask)
