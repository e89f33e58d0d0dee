"""
ProtoPNet's push written straight from its description (Chen et al., NeurIPS 2019, section 2.2), for comparison: for
every batch, the distances of all patches from all prototypes; then for every prototype, the images of its class, the
smallest distance, and its place. Not part of the package.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch

__all__ = ["straightforward_push"]


def straightforward_push(
    prototypes: torch.Tensor, prototype_labels: torch.Tensor, batches: Iterable[tuple[torch.Tensor, torch.Tensor]]
) -> tuple[torch.Tensor, np.ndarray]:
    """
    Args:
        prototypes: (M, D).
        prototype_labels: (M,).
        batches: patch embeddings (B, P, D) and labels (B,).

    Returns:
        the projected prototypes (M, D), and image and patch (M, 2) of each.
    """
    best = np.full(len(prototypes), np.inf)
    projected = prototypes.clone()
    source = np.full((len(prototypes), 2), -1)
    seen = 0
    for patches, labels in batches:
        squared = (
            patches.square().sum(dim=2)[:, None, :]
            - 2 * torch.einsum("bpd,md->bmp", patches, prototypes)
            + prototypes.square().sum(dim=1)[None, :, None]
        )
        distances = torch.relu(squared).numpy()
        for j in range(len(prototypes)):
            members = [i for i in range(len(labels)) if labels[i] == prototype_labels[j]]
            if not members:
                continue
            own = distances[members, j, :]
            smallest = own.min()
            if smallest < best[j]:
                image, patch = np.unravel_index(own.argmin(), own.shape)
                best[j] = smallest
                source[j] = seen + members[image], patch
                projected[j] = patches[members[image], patch]
        seen += len(labels)
    return projected, source
