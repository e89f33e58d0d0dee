"""How unsure an answer is: its entropy, or the share that an abstention prototype takes of it."""

from __future__ import annotations

import math

import torch
from torch import nn

__all__ = ["AbstentionShare", "answer_entropy"]


def answer_entropy(logits: torch.Tensor) -> torch.Tensor:
    """
    Args:
        logits: (B, C).

    Returns:
        entropy (B,) of the softmax over that of equal probabilities, 0 sure to 1; 0 with a single class.
    """
    if logits.shape[1] == 1:
        return logits[:, 0] * 0
    log_probabilities = logits.log_softmax(dim=1)
    return -(log_probabilities.exp() * log_probabilities).sum(dim=1) / math.log(logits.shape[1])


class AbstentionShare(nn.Module):
    """
    The probability mass that an abstention prototype takes (ProtoASNet, Vaseli et al., MICCAI 2023): it is one more
    class, whose logit is ``scale * (similarity + bias)``.

    It holds the rule and no weights: prototype and bias are the head's, which hands them over.

    Args:
        first_bias: start of the learned bias. Similarity is at most 1, so that a negative start keeps the share small
            until it has been learned.
    """

    def __init__(self, first_bias: float = -1.0) -> None:
        super().__init__()
        self.first_bias = first_bias

    def forward(
        self, logits: torch.Tensor, similarity: torch.Tensor, bias: torch.Tensor, log_scale: torch.Tensor
    ) -> torch.Tensor:
        """
        Args:
            logits: of the classes (B, C).
            similarity: of the abstention prototype to the image (B,).
            bias: scalar.
            log_scale: scalar, of the logits.

        Returns:
            share (B,), 0 to 1.
        """
        return torch.sigmoid(log_scale.exp() * (similarity + bias) - logits.logsumexp(dim=1))
