"""A second classifier beside the network's own: the nearest of several prototypes of each class."""

from __future__ import annotations

import ignite.distributed as idist
import torch
import torch.nn.functional as F

from monai_proto.losses.balanced_assignment import balanced_assignment
from monai_proto.losses.terms.step import SemiSupervisedStep
from monai_proto.losses.terms.term import Term
from monai_proto.losses.terms.views import LABELLED, UNLABELLED, View
from monai_proto.networks.feature_rows import labels_on_grid, rows_of_map

__all__ = ["PrototypeClassifierTerm"]


class PrototypeClassifierTerm(Term):
    """
    Cross-entropy of the cosines between projected features and the nearest prototype of each class, background
    included, on labelled voxels and on those of a second view. First, prototypes move to the labelled voxels assigned
    to them (Zhou et al., "Rethinking Semantic Segmentation: A Prototype View", CVPR 2022, less two auxiliary losses).

    Args:
        num_classes, feature_dim, prototypes_per_class: C, D and K.
        momentum: of the moving average, which starts with the first mean; 0.999 in the paper, for long trainings.
        temperature, view: of the cosines, and the second view.
        weight, ramped, name: see :class:`Term`.

    Attributes:
        prototypes, moved: buffers (C, K, D), unit rows, and bool (C, K): which have left their random start.
    """

    prototypes: torch.Tensor
    moved: torch.Tensor

    def __init__(
        self,
        num_classes: int,
        feature_dim: int,
        prototypes_per_class: int = 5,
        momentum: float = 0.99,
        temperature: float = 0.1,
        view: View = UNLABELLED,
        weight: float = 0.1,
        ramped: bool = True,
        name: str = "prototype_classifier",
    ) -> None:
        super().__init__(name, weight, ramped, [view])
        self.momentum, self.temperature, self.view = momentum, temperature, view
        self.register_buffer("moved", torch.zeros(num_classes, prototypes_per_class, dtype=torch.bool))
        self.register_buffer("prototypes", F.normalize(torch.randn(*self.moved.shape, feature_dim), dim=-1))

    def forward(self, step: SemiSupervisedStep) -> torch.Tensor:
        labelled, second = self._rows(step, LABELLED), self._rows(step, self.view)
        self._move(*labelled)
        return self._loss(*labelled) + self._loss(*second)

    def _rows(self, step: SemiSupervisedStep, view: View) -> tuple[torch.Tensor, torch.Tensor]:
        projection = step.student(view).projection
        labels = labels_on_grid(step.get(view.labels), projection.shape[2:])
        return F.normalize(rows_of_map(projection).float(), dim=1)[labels >= 0], labels[labels >= 0]

    def _loss(self, features: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        nearest = torch.einsum("nd,ckd->nck", features, self.prototypes).amax(dim=2)
        return F.cross_entropy(nearest / self.temperature, labels, reduction="sum") / max(len(labels), 1)

    @torch.no_grad()
    def _move(self, features: torch.Tensor, labels: torch.Tensor) -> None:
        classes, per_class, _ = self.prototypes.shape
        cosines = torch.einsum("nd,ckd->nck", features, self.prototypes)
        own_class = cosines.take_along_dim(labels[:, None, None], dim=1).squeeze(1)
        own = labels * per_class + balanced_assignment(own_class, labels, classes)
        rows = F.pad(features, (0, 1), value=1.0)  # the last column counts
        sums = idist.all_reduce(rows.new_zeros(classes * per_class, rows.shape[1]).index_add(0, own, rows))
        means, counts = torch.as_tensor(sums).view(classes, per_class, -1).tensor_split([-1], dim=-1)
        kept = torch.where(self.moved, self.momentum, 0.0).unsqueeze(-1)
        average = kept * self.prototypes + (1 - kept) * F.normalize(means, dim=-1)
        self.prototypes.copy_(torch.where(counts > 0, F.normalize(average, dim=-1), self.prototypes))
        self.moved.logical_or_(counts[..., 0] > 0)
