"""The loss of a prototype head: right answers, from prototypes that are near, apart and different."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from monai_proto.losses.abstention_loss import abstention_loss
from monai_proto.losses.class_weights import class_balanced_weights, inverse_root_weights
from monai_proto.losses.prototype_head_terms import (
    cluster_loss,
    diversity_loss,
    prototype_contrastive_loss,
    separation_loss,
)
from monai_proto.networks.blocks.prototype_head import PrototypeHeadOutput
from monai_proto.networks.tensor_checks import require_class_labels

__all__ = ["PrototypeLoss"]

_CLASS_WEIGHTS = ("inverse_root", "class_balanced", "none")
_PRESETS: dict[str, dict[str, Any]] = {
    "protopnet": {
        "margin": None,
        "diversity_scale": 0.0,
        "contrastive_scale": 0.0,
        "class_weights": "none",
        "learn_sigma": False,
    },
    "protoasnet": {"abstention_scale": 0.1, "class_weights": "none", "learn_sigma": False},
}


class PrototypeLoss(nn.Module):
    """
    ``exp(-2s) CE + s + sum(scale * term)``, with a learned log-sigma s (Kendall et al., CVPR 2018).

    Called ``loss(output, labels)`` with what :class:`PrototypeHead` gives; the parts of the last call are in
    ``components``, by name and detached: ``ce_loss``, ``cluster_loss``, ``sep_loss``, ``div_loss``,
    ``contrastive_loss``, with abstention ``abstention_loss``, with a pooled classifier ``pooled_loss``, and
    ``log_sigma``. The scale s is a parameter: give the loss's parameters to the optimizer beside the network's.

    Args:
        cluster_scale: of :func:`cluster_loss`.
        separation_scale: of :func:`separation_loss`.
        diversity_scale: of :func:`diversity_loss`.
        contrastive_scale: of :func:`prototype_contrastive_loss`.
        abstention_scale: of :func:`abstention_loss`; 0 leaves it out.
        pooled_scale: of the pooled classifier's cross-entropy, where the head has one.
        margin: of the separation; None for ProtoPNet's, which has no bound.
        class_weights: of the cluster term: ``"inverse_root"`` (``1 / sqrt(n + eps)``), ``"class_balanced"``
            (Cui et al., CVPR 2019) or ``"none"``.
        class_counts: samples of each class in the training set; by default they are counted in the batch.
        beta: of the class-balanced weights.
        gamma: exponent of the focal factor ``(1 - p)^gamma`` in the cluster term, p the probability of the true class;
            0 for none.
        learn_sigma: whether s is learned; otherwise the cross-entropy has weight 1.

    Raises:
        ValueError: when a choice is unknown.

    Example::

        head = PrototypeHead(num_classes=7, embedding_dim=64, num_heads=4, in_features=1280)
        loss = PrototypeLoss()
        loss(head(torch.randn(2, 1280), torch.randn(2, 1280, 7, 7)), torch.tensor([0, 3]))
        loss.components["cluster_loss"]
    """

    class_counts: torch.Tensor | None

    def __init__(
        self,
        cluster_scale: float = 0.8,
        separation_scale: float = 0.08,
        diversity_scale: float = 0.01,
        contrastive_scale: float = 0.05,
        abstention_scale: float = 0.0,
        pooled_scale: float = 1.0,
        margin: float | None = 1.0,
        class_weights: str = "inverse_root",
        class_counts: Sequence[int] | None = None,
        beta: float = 0.9999,
        gamma: float = 0.0,
        learn_sigma: bool = True,
    ) -> None:
        super().__init__()
        if class_weights not in _CLASS_WEIGHTS:
            raise ValueError(f"class_weights must be one of {_CLASS_WEIGHTS}, got {class_weights!r}.")
        self.scales = {
            "cluster_loss": cluster_scale,
            "sep_loss": separation_scale,
            "div_loss": diversity_scale,
            "contrastive_loss": contrastive_scale,
            "abstention_loss": abstention_scale,
            "pooled_loss": pooled_scale,
        }
        self.margin = margin
        self.class_weights = class_weights
        self.beta = beta
        self.gamma = gamma
        counts = None if class_counts is None else torch.as_tensor(class_counts)
        self.register_buffer("class_counts", counts, persistent=False)
        self.log_sigma = nn.Parameter(torch.zeros(()), requires_grad=learn_sigma)
        self.components: dict[str, torch.Tensor] = {}

    @classmethod
    def preset(cls, name: str, **options: Any) -> PrototypeLoss:
        """
        The loss of another method, for comparison; see :meth:`PrototypeHead.preset`. Both take the cluster term's mean
        class by class where the originals take it over the batch, and ProtoASNet's orthogonality is left out.

        Args:
            name: ``"protopnet"`` or ``"protoasnet"``.
            options: further arguments, which go before those of the preset.

        Raises:
            ValueError: when the name is unknown.
        """
        if name not in _PRESETS:
            raise ValueError(f"name must be one of {tuple(_PRESETS)}, got {name!r}.")
        return cls(**{**_PRESETS[name], **options})

    def forward(self, output: PrototypeHeadOutput, labels: torch.Tensor) -> torch.Tensor:
        """
        Args:
            output: of the head.
            labels: classes (B,), integers.

        Returns:
            scalar.

        Raises:
            ValueError: when the labels have another shape or lie outside of the classes.
        """
        rows, num_classes = output.logits.shape
        labels = require_class_labels(labels, num_classes, None, rows, "labels")
        with torch.autocast(output.logits.device.type, enabled=False):
            terms = self._terms(output, labels)
            total = torch.exp(-2 * self.log_sigma) * terms["ce_loss"] + self.log_sigma
            total = total + sum(self.scales[name] * term for name, term in terms.items() if name in self.scales)
        self.components = {name: term.detach() for name, term in terms.items()}
        self.components["log_sigma"] = self.log_sigma.detach().clone()
        return total

    def _terms(self, output: PrototypeHeadOutput, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        logits, prototypes, prototype_labels = output.logits.float(), output.prototypes, output.prototype_labels
        focal = None
        if self.gamma:
            true_probability = logits.detach().softmax(dim=1).gather(1, labels[:, None]).squeeze(1)
            focal = (1 - true_probability) ** self.gamma
        weights = self._weights(labels, logits.shape[1])
        terms = {
            "ce_loss": F.cross_entropy(logits, labels),
            "cluster_loss": cluster_loss(output.distances, labels, prototype_labels, weights, focal),
            "sep_loss": separation_loss(output.distances, labels, prototype_labels, self.margin),
            "div_loss": diversity_loss(prototypes, prototype_labels),
            "contrastive_loss": prototype_contrastive_loss(prototypes, prototype_labels),
        }
        if self.scales["abstention_loss"]:
            terms["abstention_loss"] = abstention_loss(output.uncertainty, logits, labels)
        if output.pooled_logits.numel():
            terms["pooled_loss"] = F.cross_entropy(output.pooled_logits.float(), labels)
        return terms

    def _weights(self, labels: torch.Tensor, num_classes: int) -> torch.Tensor | None:
        if self.class_weights == "none":
            return None
        counts = self.class_counts
        if counts is None:
            counts = torch.zeros(num_classes, device=labels.device).scatter_add_(
                0, labels, torch.ones_like(labels, dtype=torch.float32)
            )
        if self.class_weights == "class_balanced":
            return class_balanced_weights(counts, self.beta)
        return inverse_root_weights(counts)
