"""The class memory bank, its contrastive loss and the prototype terms behind one earlier interface."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from monai_proto.losses.memory_bank_contrastive_loss import MemoryBankContrastiveLoss
from monai_proto.losses.prototype_terms import inter_class_separation_loss, intra_class_compactness_loss
from monai_proto.networks.blocks.class_memory_bank import ClassMemoryBank
from monai_proto.networks.feature_rows import rows_of_map
from monai_proto.networks.tensor_checks import require_class_labels

__all__ = ["ContrastivePrototypeManager"]


class ContrastivePrototypeManager(nn.Module):
    """
    Keeps a :class:`ClassMemoryBank` and compares features with it.

    A thin wrapper for code written against this interface; new code uses :class:`ClassMemoryBank`,
    :class:`MemoryBankContrastiveLoss` and the prototype terms directly. Bank and selectors are in its ``state_dict``,
    and its parameters are those of the selectors.

    Args:
        num_classes: number C of classes.
        feature_dim: size D of a feature row.
        elements_per_class: K, the most rows that the bank keeps of a class.
        use_learned_selector: weigh and rank rows by a learned selector per class.

    Attributes:
        bank: the :class:`ClassMemoryBank`.
        contrastive_loss: the :class:`MemoryBankContrastiveLoss`, with the selectors.

    Example::

        manager = ContrastivePrototypeManager(num_classes=2, feature_dim=16)
        features = torch.randn(2, 16, 8, 8, 8, requires_grad=True)
        logits, labels = torch.randn(2, 2, 8, 8, 8), torch.randint(0, 2, (2, 1, 8, 8, 8))
        loss, parts = manager.update_and_compute_loss(features, logits, labels)
    """

    def __init__(
        self, num_classes: int, feature_dim: int, elements_per_class: int = 32, use_learned_selector: bool = False
    ) -> None:
        super().__init__()
        self.bank = ClassMemoryBank(num_classes, feature_dim, rows_per_class=elements_per_class)
        self.contrastive_loss = MemoryBankContrastiveLoss(num_classes, feature_dim, use_learned_selector)

    def update_memory(self, features_dict: Mapping[int, torch.Tensor]) -> None:
        """
        Replace the bank's rows of the classes given.

        Args:
            features_dict: class -> rows (n, D). A class that is left out or has no row keeps what it had.

        Raises:
            ValueError: when a class or a shape does not fit, or rows are not finite.
        """
        for c, rows in features_dict.items():
            if c not in range(self.bank.num_classes):
                raise ValueError(f"features_dict must have classes 0 .. {self.bank.num_classes - 1}, got {c!r}.")
            if rows.ndim != 2 or rows.shape[1] != self.bank.feature_dim:
                raise ValueError(
                    f"features_dict[{c}] must have shape (n, {self.bank.feature_dim}), got {tuple(rows.shape)}."
                )
        if not features_dict:
            return
        features = torch.cat(list(features_dict.values()))
        sizes = torch.tensor([rows.shape[0] for rows in features_dict.values()], device=features.device)
        classes = torch.tensor([int(c) for c in features_dict], device=features.device)
        self._update_bank(features, classes.repeat_interleave(sizes, output_size=features.shape[0]))

    def contrastive_class_to_class_learned_memory(
        self, features: torch.Tensor, class_labels: torch.Tensor
    ) -> torch.Tensor:
        """
        The contrastive loss between features and the bank.

        Args:
            features: rows (N, D) or a map (B, D, *spatial).
            class_labels: class of each row (N,), or of each voxel (B, *spatial) or (B, 1, *spatial); -1 is ignored.

        Returns:
            scalar, differentiable with respect to features and selectors.

        Raises:
            ValueError: when shapes do not fit, a label is out of range, or features are not finite.
        """
        return self.contrastive_loss(
            _rows(features), self._class_rows(features, class_labels, "class_labels"), self.bank
        )

    def update_and_compute_loss(
        self,
        features: torch.Tensor,
        predictions: torch.Tensor,
        labels: torch.Tensor | None,
        is_labeled: bool = True,
        contrastive_weight: float = 1.0,
        intra_weight: float = 0.1,
        inter_weight: float = 0.1,
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """
        Labelled features: update the bank with the rows that are predicted correctly, then compare all with it by
        their labels. Unlabelled ones: compare them with it by their predictions; the bank stays as it is.

        Args:
            features: rows (N, D) or a map (B, D, *spatial).
            predictions: predicted classes (N,), (B, *spatial) or (B, 1, *spatial), integers; or logits (N, C) or
                (B, C, *spatial), floating.
            labels: true classes, shaped as class predictions; -1 is ignored. Not looked at, and may be None, when
                unlabelled.
            is_labeled: whether the features belong to labelled images.
            contrastive_weight: weight of the contrastive loss.
            intra_weight: weight of intra-class compactness.
            inter_weight: weight of inter-class separation.

        Returns:
            the weighted sum, and its unweighted parts, detached: ``contrastive_loss``, ``intra_loss``, ``inter_loss``,
            with the sum as ``total_loss``.

        Raises:
            ValueError: when labels are missing, shapes do not fit, a class is out of range, or features are not finite.
        """
        rows = _rows(features)
        classes = self._class_rows(features, self._predicted_classes(features, predictions), "predictions")
        if is_labeled:
            if labels is None:
                raise ValueError("labels must be given when is_labeled=True.")
            predicted, classes = classes, self._class_rows(features, labels, "labels")
            self._update_bank(rows.detach(), torch.where(predicted == classes, classes, self.bank.ignore_index))
        means, counts = self.bank.class_means(), self.bank.counts
        contrastive = self.contrastive_loss(rows, classes, self.bank)
        intra = intra_class_compactness_loss(rows, classes, means, counts)
        inter = inter_class_separation_loss(means, counts)
        total = contrastive_weight * contrastive + intra_weight * intra + inter_weight * inter
        parts = {"contrastive_loss": contrastive, "intra_loss": intra, "inter_loss": inter, "total_loss": total}
        return total, {name: part.detach() for name, part in parts.items()}

    def get_selectors(self) -> nn.ModuleDict:
        """
        The selectors by the names that they have in SS-Net, ``contrastive_class_selector_{c}`` for features and
        ``contrastive_class_selector_memory{c}`` for the bank's rows; empty without learned selectors. They are the
        manager's own: ``get_selectors().parameters()`` is what an optimiser takes.
        """
        selectors = nn.ModuleDict()
        for c, selector in enumerate(self.contrastive_loss.feature_selectors):
            selectors[f"contrastive_class_selector_{c}"] = selector
        for c, selector in enumerate(self.contrastive_loss.memory_selectors):
            selectors[f"contrastive_class_selector_memory{c}"] = selector
        return selectors

    def _update_bank(self, rows: torch.Tensor, classes: torch.Tensor) -> None:
        learned = self.contrastive_loss.use_learned_selector
        self.bank.update(rows, classes, self.contrastive_loss.score(rows, classes) if learned else None)

    def _class_rows(self, features: torch.Tensor, classes: torch.Tensor, name: str) -> torch.Tensor:
        """Classes (N,) of rows (N, D) or of a map (B, D, *spatial), checked."""
        batch, spatial = features.shape[:1], features.shape[2:]
        shapes = (*batch, *spatial), (*batch, 1, *spatial)
        if classes.shape not in shapes:
            raise ValueError(
                f"{name} must have shape {shapes[0]} or {shapes[1]} for features of shape {tuple(features.shape)}, "
                f"got {tuple(classes.shape)}."
            )
        rows = classes.reshape(-1)
        return require_class_labels(rows, self.bank.num_classes, self.bank.ignore_index, rows.shape[0], name)

    def _predicted_classes(self, features: torch.Tensor, predictions: torch.Tensor) -> torch.Tensor:
        if not predictions.is_floating_point():
            return predictions
        expected = (features.shape[0], self.bank.num_classes, *features.shape[2:])
        if predictions.shape != expected:
            raise ValueError(
                f"predictions must be logits of shape {expected} or integer classes, got {predictions.dtype} of shape "
                f"{tuple(predictions.shape)}."
            )
        return predictions.argmax(dim=1)


def _rows(features: torch.Tensor) -> torch.Tensor:
    """Rows (N, D) of rows or of a map."""
    return features if features.ndim <= 2 else rows_of_map(features)
