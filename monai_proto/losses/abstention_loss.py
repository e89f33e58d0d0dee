"""Teaches the abstention prototype when to speak up."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from monai_proto.networks.precision import in_float32

__all__ = ["abstention_loss"]


@in_float32
def abstention_loss(
    uncertainty: torch.Tensor, logits: torch.Tensor, labels: torch.Tensor, confidence_threshold: float = 0.5
) -> torch.Tensor:
    """
    Binary cross-entropy of the probability mass that the abstention prototype takes, against whether it should: where
    the answer is wrong, or its softmax probability below a threshold. The targets carry no gradient.

    Background: ProtoASNet (Vaseli et al., MICCAI 2023), whose abstention prototypes take a share of the prediction.

    Args:
        uncertainty: share (B,) of the abstention prototype, 0 .. 1.
        logits: of the classes (B, C).
        labels: classes (B,), integers.
        confidence_threshold: probability below which an answer is not to be relied on.

    Returns:
        scalar.
    """
    confidence, answers = logits.detach().softmax(dim=1).max(dim=1)
    target = ((answers != labels.long()) | (confidence < confidence_threshold)).float()
    # autocast, off here, has no rule for cross-entropy on probabilities
    return F.binary_cross_entropy(uncertainty.clamp(1e-6, 1 - 1e-6), target)
