"""How unsure a predicted mask is: which pseudo-labels can be trusted."""

from __future__ import annotations

import torch
import torch.nn.functional as F

__all__ = ["mask_entropy"]

_LARGEST_LOGIT = 1e4  # the entropy is 0 from 104 on; infinity times 0 would be NaN


def mask_entropy(logits: torch.Tensor) -> torch.Tensor:
    """
    Mean binary entropy of every mask.

    With a = abs(logit) the entropy of a pixel is ``softplus(-a) + a sigmoid(-a)``, which neither overflows nor takes a
    logarithm of 0. Computed in float32, also under autocast.

    Args:
        logits: (B, 1, H, W).

    Returns:
        (B,), in nats, 0 .. ln 2 = 0.693.

    Raises:
        ValueError: when ``logits`` has another shape.
    """
    if logits.ndim != 4 or logits.shape[1] != 1:
        raise ValueError(f"logits must have shape (B, 1, H, W), got {tuple(logits.shape)}.")
    size = logits.float().abs().clamp(max=_LARGEST_LOGIT)
    return (F.softplus(-size) + size * torch.sigmoid(-size)).mean(dim=(1, 2, 3))
