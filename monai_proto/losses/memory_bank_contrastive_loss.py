"""Pulls the features of every class towards the rows that a memory bank holds of it."""

from __future__ import annotations

import torch
from torch import nn

from monai_proto.losses.class_cosine import class_cosine_sums, class_sums
from monai_proto.networks.blocks.class_memory_bank import ClassMemoryBank
from monai_proto.networks.blocks.feature_selector import FeatureSelector
from monai_proto.networks.blocks.selector_scores import selector_scores
from monai_proto.networks.tensor_checks import class_indices, require_class_labels, require_finite, require_rows

__all__ = ["MemoryBankContrastiveLoss", "memory_bank_contrastive_loss"]

_MEMORY_WEIGHTINGS = ("reference", "corrected")


def memory_bank_contrastive_loss(
    features: torch.Tensor,
    labels: torch.Tensor,
    class_means: torch.Tensor,
    bank_counts: torch.Tensor,
    feature_weights: torch.Tensor | None = None,
) -> torch.Tensor:
    """
    Mean weighted cosine distance of every class's features to its rows in the bank, summed over classes, divided by C.

    For class c with feature rows f_i and bank rows m_j the term is ``mean_ij(w_i v_j (1 - cos(f_i, m_j)))`` with
    weights w and v of mean 1 (SS-Net, Wu et al., MICCAI 2022; SemiSeg-Contrastive, Alonso et al., ICCV 2021). Being
    linear in the unit row of m_j, it is ``1 - mean_i(w_i cos-part)`` with the class's mean (weighted) unit row, which
    is all that this function takes of the bank: O(N D) instead of O(N D K), and no N x K matrix.

    Args:
        features: rows (N, D) of any floating type.
        labels: class of each row (N,), integers; rows with a label outside of 0 .. C-1 take no part.
        class_means: mean (weighted) unit row of each class (C, D), see ``ClassMemoryBank.class_means``.
        bank_counts: rows that the bank holds of each class (C,). A class takes part with more than one of them and
            more than one feature row; the divisor stays C when a class is skipped.
        feature_weights: raw positive weights of the rows (N,), rescaled here to mean 1 in each class.

    Returns:
        scalar, float32.
    """
    num_classes = class_means.shape[0]
    safe_labels, in_class = class_indices(labels, num_classes)
    counts = class_sums(in_class.float(), safe_labels, num_classes)
    if feature_weights is None:
        total_weights = counts
    else:
        total_weights = class_sums(torch.where(in_class, feature_weights.float(), 0.0), safe_labels, num_classes)
    sums = class_cosine_sums(features, labels, class_means, feature_weights)
    takes_part = (counts > 1) & (bank_counts > 1)
    terms = 1.0 - sums / torch.where(takes_part, total_weights, 1.0)
    return torch.where(takes_part, terms, 0.0).sum() / num_classes


class MemoryBankContrastiveLoss(nn.Module):
    """
    Contrastive loss between features and the rows that a :class:`ClassMemoryBank` holds of the same class.

    See :func:`memory_bank_contrastive_loss` for the formula.

    Args:
        num_classes: number C of classes.
        feature_dim: size D of a row; needed with learned selectors.
        use_learned_selector: weigh rows by ``sigmoid(selector_c(f.detach()))``, rescaled to mean 1 in each class;
            without it all rows count alike.
        memory_weighting: what becomes of the selectors of the bank's rows. ``"reference"``: in the peers' code they
            cancel to exactly 1, because of the axis over which they are normalised, and this keeps that;
            ``"corrected"`` normalises over the rows of the bank, as the paper intends. Only matters with learned
            selectors.
        ignore_index: label of rows that belong to no class.

    Attributes:
        feature_selectors: one :class:`FeatureSelector` per class for the features (empty without learned selectors).
        memory_selectors: the same for the bank's rows. They train only with ``memory_weighting="corrected"``.

    Raises:
        ValueError: when learned selectors are asked for without ``feature_dim``, or ``memory_weighting`` is unknown.

    Example::

        bank, loss = ClassMemoryBank(3, 16), MemoryBankContrastiveLoss(3)
        features, labels = torch.randn(400, 16, requires_grad=True), torch.randint(0, 3, (400,))
        bank.update(features, labels)
        loss(features, labels, bank).backward()
    """

    def __init__(
        self,
        num_classes: int,
        feature_dim: int | None = None,
        use_learned_selector: bool = False,
        memory_weighting: str = "reference",
        ignore_index: int = -1,
    ) -> None:
        super().__init__()
        if use_learned_selector and feature_dim is None:
            raise ValueError("feature_dim must be given with use_learned_selector=True.")
        if memory_weighting not in _MEMORY_WEIGHTINGS:
            raise ValueError(f"memory_weighting must be one of {_MEMORY_WEIGHTINGS}, got {memory_weighting!r}.")
        self.num_classes = num_classes
        self.feature_dim = feature_dim
        self.use_learned_selector = use_learned_selector
        self.memory_weighting = memory_weighting
        self.ignore_index = ignore_index
        dims = [] if feature_dim is None or not use_learned_selector else [feature_dim] * num_classes
        self.feature_selectors = nn.ModuleList(FeatureSelector(dim) for dim in dims)
        self.memory_selectors = nn.ModuleList(FeatureSelector(dim) for dim in dims)

    def forward(self, features: torch.Tensor, labels: torch.Tensor, bank: ClassMemoryBank) -> torch.Tensor:
        """
        Args:
            features: rows (N, D); the loss is differentiable with respect to them and to the selectors' weights.
            labels: class of each row (N,), integers in 0 .. C-1, or ``ignore_index``.
            bank: the rows to compare with; never changed here.

        Returns:
            scalar.

        Raises:
            ValueError: when the bank has other classes, shapes do not fit, a label is out of range, or features are
                not finite.
        """
        if bank.num_classes != self.num_classes:
            raise ValueError(f"bank must have {self.num_classes} classes, got {bank.num_classes}.")
        labels = self._checked(features, labels, bank.feature_dim)
        row_weights, feature_weights = None, None
        if self.use_learned_selector:
            feature_weights = selector_scores(self.feature_selectors, features, labels)
            if self.memory_weighting == "corrected":
                row_weights = self._memory_weights(bank)
        return memory_bank_contrastive_loss(
            features, labels, bank.class_means(row_weights), bank.counts, feature_weights
        )

    @torch.no_grad()
    def score(self, features: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """
        How typical the selector of its own class finds each row, with the selectors' running statistics: what
        ``ClassMemoryBank.update`` takes as ``scores``.

        Args:
            features: rows (N, D).
            labels: class of each row (N,), integers in 0 .. C-1, or ``ignore_index`` (score 0).

        Returns:
            (N,), in 0 .. 1, without gradient.

        Raises:
            ValueError: without learned selectors, when shapes do not fit, or a label is out of range.
        """
        if not self.use_learned_selector or self.feature_dim is None:
            raise ValueError("score needs use_learned_selector=True.")
        labels = self._checked(features, labels, self.feature_dim)
        return selector_scores(self.feature_selectors, features, labels, training=False)

    def _checked(self, features: torch.Tensor, labels: torch.Tensor, feature_dim: int) -> torch.Tensor:
        """The labels as int64."""
        require_rows(features, feature_dim, "features")
        require_finite(features, "features")
        return require_class_labels(labels, self.num_classes, self.ignore_index, features.shape[0], "labels")

    def _memory_weights(self, bank: ClassMemoryBank) -> torch.Tensor:
        """Weights of the bank's rows (C, K), of mean 1 over the rows of each class."""
        in_use = bank.row_mask()
        classes = torch.arange(bank.num_classes, device=bank.rows.device).unsqueeze(-1).expand_as(in_use)
        labels = torch.where(in_use, classes, self.ignore_index).reshape(-1)
        scores = selector_scores(self.memory_selectors, bank.rows.flatten(0, 1), labels).reshape(in_use.shape)
        mean = scores.sum(1, keepdim=True) / bank.counts.clamp(min=1).unsqueeze(-1)
        return scores / torch.where(mean > 0, mean, 1.0)
