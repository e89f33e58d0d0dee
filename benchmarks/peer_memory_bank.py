"""
What the peers do, written out from the formulas, to measure against: a loop over classes, each with a boolean gather of
its rows, an N_c x K matrix of distances, and the bank in NumPy arrays on the host (SS-Net, Wu et al., MICCAI 2022;
SemiSeg-Contrastive, Alonso et al., ICCV 2021).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

__all__ = ["PeerMemoryBank", "peer_contrastive_loss"]


class PeerMemoryBank:
    """
    Up to K rows of each class as a NumPy array; None for a class that has not occurred.

    Args:
        num_classes: number C of classes.
        rows_per_class: K.
    """

    def __init__(self, num_classes: int, rows_per_class: int = 32) -> None:
        self.num_classes = num_classes
        self.rows_per_class = rows_per_class
        self.memory: list[np.ndarray | None] = [None] * num_classes

    @torch.no_grad()
    def update(
        self, features: torch.Tensor, labels: torch.Tensor, selectors: Sequence[nn.Module] | None = None
    ) -> None:
        """
        Replace the rows of every class that occurs by the K with the lowest scores, or without selectors the first K.

        Args:
            features: rows (N, D).
            labels: class of each row (N,).
            selectors: one per class, giving raw scores (n, 1).
        """
        features, labels_on_host = features.detach(), labels.detach().cpu().numpy()
        for c in range(self.num_classes):
            rows = features[torch.from_numpy(labels_on_host == c)]
            if rows.shape[0] == 0:
                continue
            if rows.shape[0] > self.rows_per_class and selectors is not None:
                order = torch.sort(torch.sigmoid(selectors[c](rows))[:, 0], dim=0).indices
                self.memory[c] = rows.cpu().numpy()[order.cpu().numpy(), :][: self.rows_per_class]
            else:
                self.memory[c] = rows.cpu().numpy()[: self.rows_per_class]


def peer_contrastive_loss(
    features: torch.Tensor,
    labels: torch.Tensor,
    bank: PeerMemoryBank,
    selectors: Sequence[nn.Module] | None = None,
    memory_selectors: Sequence[nn.Module] | None = None,
) -> torch.Tensor:
    """
    Mean distance of every class's rows to its rows in the bank, weighted by the selectors if there are any.

    Args:
        features: rows (N, D).
        labels: class of each row (N,).
        bank: the rows to compare with.
        selectors: one per class for the features, giving raw scores (n, 1).
        memory_selectors: one per class for the bank's rows. Their weights are divided by their own sum over an axis of
            length one, and so come out as 1: the peers compute and multiply them all the same.

    Returns:
        scalar.
    """
    loss = features.new_zeros(())
    for c in range(bank.num_classes):
        rows, memory = features[labels == c], bank.memory[c]
        if memory is None or memory.shape[0] < 2 or rows.shape[0] < 2:
            continue
        unit_memory = F.normalize(torch.from_numpy(memory).to(features.device), dim=1)
        distances = 1 - F.normalize(rows, dim=1) @ unit_memory.T
        if selectors is not None and memory_selectors is not None:
            weights = torch.sigmoid(selectors[c](rows.detach()))
            weights = weights.shape[0] / weights.sum(dim=0) * weights
            distances = distances * weights.repeat(1, distances.shape[1])
            memory_weights = torch.sigmoid(memory_selectors[c](unit_memory)).permute(1, 0)
            memory_weights = memory_weights.shape[0] / memory_weights.sum(dim=0) * memory_weights
            distances = distances * memory_weights.repeat(distances.shape[0], 1)
        loss = loss + distances.mean()
    return loss / bank.num_classes
