"""Weak-to-strong consistency: strongly perturbed views should say what the weak one says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F

from monai_proto.losses.pseudo_label import pseudo_labels
from monai_proto.losses.terms.step import SemiSupervisedStep
from monai_proto.losses.terms.term import Term
from monai_proto.losses.terms.views import UnlabelledView

__all__ = ["WeakToStrongTerm", "confident_cross_entropy"]


def confident_cross_entropy(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """
    Cross-entropy of the voxels that have a label, summed, divided by the number of all voxels.

    Args:
        logits: (B, C, *spatial).
        target: (B, 1, *spatial), int64, -1 where the pseudo-label is too unsure.

    Returns:
        scalar, float32.
    """
    return F.cross_entropy(logits.float(), target.squeeze(1), ignore_index=-1, reduction="sum") / target.numel()


class WeakToStrongTerm(Term):
    """
    UniMatch (Yang et al., "Revisiting Weak-to-Strong Consistency in Semi-Supervised Semantic Segmentation", CVPR 2023,
    eq. 5): confident pseudo-labels of the weak view teach the student on two strongly perturbed views of the same
    geometry, and on the weak view with whole channels of its last feature map dropped; half of the term each.

    The student is a :class:`ProjectedSegmentationNet`, whose last feature map is at hand; the paper drops channels of
    all that its encoder hands on.

    Args:
        strong_keys: the loader's names of the strong views.
        confidence: pseudo-labels below this probability teach nothing; 0.95 in the paper.
        dropout: share of the channels that are dropped.
        weight, ramped, name: see :class:`Term`.

    Raises:
        ValueError: when there is no strong view, or the dropout is not between 0 and 1.
    """

    def __init__(
        self,
        strong_keys: Sequence[str] = ("image_strong", "image_strong_2"),
        confidence: float = 0.95,
        dropout: float = 0.5,
        weight: float = 1.0,
        ramped: bool = True,
        name: str = "weak_to_strong",
    ) -> None:
        if not strong_keys:
            raise ValueError("strong_keys must name at least one view.")
        if not 0 < dropout < 1:
            raise ValueError(f"dropout must be between 0 and 1, got {dropout}.")
        super().__init__(name, weight, ramped, [UnlabelledView([key]) for key in strong_keys])
        self.confidence = confidence
        self.dropout = dropout

    def forward(self, step: SemiSupervisedStep) -> torch.Tensor:
        target = pseudo_labels(step.source_logits, self.confidence)
        strong = [confident_cross_entropy(step.student(view).logits, target) for view in self.views]
        student: Any = step.bare_network
        features = torch.feature_dropout(student.network(step.unlabelled["image"]), self.dropout, train=True)
        perturbed = confident_cross_entropy(student.output_layer(features), target)
        return 0.5 * torch.stack(strong).mean() + 0.5 * perturbed
