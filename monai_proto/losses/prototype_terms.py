"""Auxiliary terms on the class means of a memory bank: compact classes, separate classes."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from monai_proto.losses.class_cosine import class_cosine_sums
from monai_proto.networks.precision import in_float32
from monai_proto.networks.tensor_checks import class_indices

__all__ = ["inter_class_separation_loss", "intra_class_compactness_loss"]


def intra_class_compactness_loss(
    features: torch.Tensor, labels: torch.Tensor, class_means: torch.Tensor, bank_counts: torch.Tensor
) -> torch.Tensor:
    """
    Mean over rows of ``1 - cos(f_i, mean of the bank's rows of the row's class)``.

    Args:
        features: rows f (N, D) of any floating type.
        labels: class of each row (N,), integers; rows with a label outside of 0 .. C-1 take no part.
        class_means: means (C, D), of any length, see ``ClassMemoryBank.class_means``.
        bank_counts: rows that the bank holds of each class (C,); rows of a class that it has none of take no part.

    Returns:
        scalar in 0 .. 2, float32; 0 when no row takes part.
    """
    num_classes = class_means.shape[0]
    safe_labels, in_class = class_indices(labels, num_classes)
    takes_part = (in_class & (bank_counts > 0)[safe_labels]).float()
    sums = class_cosine_sums(features, labels, F.normalize(class_means, dim=-1))
    rows = takes_part.sum()
    return (rows - torch.where(bank_counts > 0, sums, 0.0).sum()) / rows.clamp(min=1)


@in_float32
def inter_class_separation_loss(class_means: torch.Tensor, bank_counts: torch.Tensor) -> torch.Tensor:
    """
    Mean positive cosine between the bank means of different classes.

    Args:
        class_means: means (C, D), of any length, see ``ClassMemoryBank.class_means``.
        bank_counts: rows that the bank holds of each class (C,); classes without rows take no part.

    Returns:
        scalar in 0 .. 1, float32; 0 with fewer than two classes in the bank.
    """
    unit = F.normalize(class_means, dim=-1)
    present = bank_counts > 0
    pairs = torch.triu(present[:, None] & present[None, :], diagonal=1)
    return torch.where(pairs, (unit @ unit.T).relu(), 0.0).sum() / pairs.sum().clamp(min=1)
