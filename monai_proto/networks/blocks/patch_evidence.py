"""What the patches of an image say for each prototype, and the prototypes for each class."""

from __future__ import annotations

import math

import torch
from torch import nn

__all__ = ["PatchEvidence"]


class PatchEvidence(nn.Module):
    """
    From similarities of patches to logits: ``logit_c = scale * sum_j weight_cj * evidence_j + bias_c``, where the
    evidence of a prototype is the mean of its ``top_k`` highest patch similarities (IAIA-BL, Barnett et al., Nature
    Machine Intelligence 2021); with one, the best patch (ProtoPNet, Chen et al., NeurIPS 2019).

    It holds the rule and no weights: those are the head's, which hands them over.

    Args:
        top_k: patches that the evidence is the mean of; all of them in an image with fewer.
        logit_scale: start of the learned scale.
        other_class_weight: start of the weight from a prototype to the classes that it does not belong to; 1 to its
            own.

    Raises:
        ValueError: when ``top_k`` is below 1 or ``logit_scale`` not positive.
    """

    def __init__(self, top_k: int = 1, logit_scale: float = 5.0, other_class_weight: float = -0.5) -> None:
        super().__init__()
        if top_k < 1:
            raise ValueError(f"top_k must be at least 1, got {top_k}.")
        if not logit_scale > 0:
            raise ValueError(f"logit_scale must be positive, got {logit_scale}.")
        self.top_k = top_k
        self.logit_scale = logit_scale
        self.other_class_weight = other_class_weight

    def pool(self, patch_similarities: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """
        Args:
            patch_similarities: (B, M, P) of M prototypes and P patches.

        Returns:
            evidence (B, M), and the patches that it is taken from (B, M, k).
        """
        values, places = patch_similarities.topk(min(self.top_k, patch_similarities.shape[2]), dim=2)
        return values.mean(dim=2), places

    def weigh(
        self, evidence: torch.Tensor, weights: torch.Tensor, bias: torch.Tensor, log_scale: torch.Tensor
    ) -> torch.Tensor:
        """
        Args:
            evidence: (B, M).
            weights: of prototypes to classes (C, M).
            bias: of the classes (C,).
            log_scale: scalar.

        Returns:
            logits (B, C).
        """
        return self._scale(weights, log_scale) * (evidence @ weights.T) + bias

    def contributions(self, evidence: torch.Tensor, weights: torch.Tensor, log_scale: torch.Tensor) -> torch.Tensor:
        """What each prototype adds to each logit (B, C, M), arguments as of :meth:`weigh`; with the bias, its sum."""
        return self._scale(weights, log_scale) * weights[None] * evidence[:, None, :]

    def first_weights(self, prototype_labels: torch.Tensor, num_classes: int) -> torch.Tensor:
        """
        Args:
            prototype_labels: classes (K,) of prototypes.
            num_classes: number C of classes.

        Returns:
            their weights (C, K) at the start.
        """
        own = prototype_labels[None, :] == torch.arange(num_classes, device=prototype_labels.device)[:, None]
        return torch.where(own, 1.0, self.other_class_weight)

    def first_log_scale(self) -> torch.Tensor:
        """Logarithm of the scale at the start, a scalar."""
        return torch.tensor(math.log(self.logit_scale))

    def _scale(self, weights: torch.Tensor, log_scale: torch.Tensor) -> torch.Tensor:
        """Scale of the logits; divided by the prototypes of a class, so that growing does not sharpen answers."""
        return log_scale.exp() * weights.shape[0] / weights.shape[1]
