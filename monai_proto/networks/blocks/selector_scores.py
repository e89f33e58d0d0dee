"""Scores of rows by the selector of their own class, all classes at once."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

__all__ = ["selector_scores"]

_TILE_ROWS = 256


def selector_scores(
    selectors: nn.ModuleList, features: torch.Tensor, labels: torch.Tensor, training: bool | None = None
) -> torch.Tensor:
    """
    ``sigmoid(selector_c(f))`` of every row from the selector of its class.

    Rows are laid out in tiles of one class each, so that one batched product serves all classes: the number of tiles
    depends on N and C only, and nothing waits for the class counts to reach the host. Batch statistics are those of
    the class's own rows, as if its selector had been called on them; a class without rows leaves its running
    statistics alone, and one with a single row uses them (one row has no variance).

    Args:
        selectors: C modules :class:`FeatureSelector`.
        features: rows (N, D); detached.
        labels: class of each row (N,), int64; rows with a label outside of 0 .. C-1 score 0.
        training: batch statistics or running ones; by default as the selectors' own mode says.

    Returns:
        (N,), float32, differentiable with respect to the selectors' weights.
    """
    with torch.autocast(features.device.type, enabled=False):
        return _selector_scores(selectors, features.detach(), labels, training)


def _selector_scores(selectors, features, labels, training):
    num_classes, num_rows = len(selectors), features.shape[0]
    if num_rows == 0:
        return features.new_zeros(0, dtype=torch.float32)
    slots, tile_class, counts = _tile_slots(labels, num_classes)
    tiles = features.new_zeros((tile_class.shape[0] * _TILE_ROWS, features.shape[1]), dtype=torch.float32)
    tiles[slots] = features.float()
    in_use = tiles.new_zeros(tiles.shape[0]).index_fill_(0, slots, 1.0)

    tiles, in_use = tiles.unflatten(0, (-1, _TILE_ROWS)), in_use.unflatten(0, (-1, _TILE_ROWS))
    weight, bias = _stacked(selectors, 0, "weight"), _stacked(selectors, 0, "bias")
    hidden = torch.baddbmm(bias[tile_class].unsqueeze(1), tiles, weight[tile_class].transpose(1, 2))
    scale, shift = _normalisation(selectors, hidden, in_use, tile_class, counts, training)
    hidden = F.leaky_relu(hidden * scale[tile_class].unsqueeze(1) + shift[tile_class].unsqueeze(1), 0.2)
    last_weight, last_bias = _stacked(selectors, 3, "weight"), _stacked(selectors, 3, "bias")
    raw = torch.bmm(hidden, last_weight[tile_class].transpose(1, 2)).squeeze(-1) + last_bias[tile_class]
    scores = raw.sigmoid().reshape(-1)[slots]
    return torch.where((labels >= 0) & (labels < num_classes), scores, 0.0)


def _stacked(selectors: nn.ModuleList, layer: int, name: str) -> torch.Tensor:
    return torch.stack([getattr(selector[layer], name) for selector in selectors])


def _tile_slots(labels: torch.Tensor, num_classes: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """
    Where each row goes when every class starts at a tile of its own.

    Returns:
        slot of each row (N,), class of each tile (T,) and rows of each class (C,). Rows of no class come last, in
        tiles that count as class C-1 and whose results are not used.
    """
    num_rows = labels.shape[0]
    groups = torch.where((labels >= 0) & (labels < num_classes), labels, num_classes)
    counts = labels.new_zeros(num_classes + 1).index_add_(0, groups, torch.ones_like(groups))
    tiles_of_group = (counts + _TILE_ROWS - 1) // _TILE_ROWS
    first_tile = tiles_of_group.cumsum(0) - tiles_of_group
    first_row = counts.cumsum(0) - counts
    order = groups.argsort(stable=True)
    sorted_groups = groups[order]
    position = torch.arange(num_rows, device=labels.device) - first_row[sorted_groups]
    slots = torch.empty_like(order)
    slots[order] = first_tile[sorted_groups] * _TILE_ROWS + position
    num_tiles = (num_rows + _TILE_ROWS - 1) // _TILE_ROWS + num_classes + 1
    tiles = torch.arange(num_tiles, device=labels.device)
    tile_class = torch.searchsorted(tiles_of_group.cumsum(0), tiles, right=True).clamp(max=num_classes - 1)
    return slots, tile_class, counts[:num_classes]


def _normalisation(selectors, hidden, in_use, tile_class, counts, training) -> tuple[torch.Tensor, torch.Tensor]:
    """Batch normalisation of each class as one scale and shift (C, D)."""
    norms = [selector[1] for selector in selectors]
    mean = torch.stack([norm.running_mean for norm in norms])
    var = torch.stack([norm.running_var for norm in norms])
    if norms[0].training if training is None else training:
        in_use = in_use.unsqueeze(-1)
        rows = counts.clamp(min=1).unsqueeze(-1).to(hidden.dtype)
        has_variance = (counts > 1).unsqueeze(-1)
        zeros = torch.zeros_like(mean)
        batch_mean = zeros.index_add(0, tile_class, (hidden * in_use).sum(1)) / rows
        centred = (hidden - batch_mean[tile_class].unsqueeze(1)) * in_use
        batch_var = zeros.index_add(0, tile_class, centred.square().sum(1)) / rows
        _update_running(norms, batch_mean.detach(), (batch_var * rows / (rows - 1).clamp(min=1)).detach(), counts)
        mean, var = torch.where(has_variance, batch_mean, mean), torch.where(has_variance, batch_var, var)
    scale = _stacked(selectors, 1, "weight") * (var + norms[0].eps).rsqrt()
    return scale, _stacked(selectors, 1, "bias") - mean * scale


@torch.no_grad()
def _update_running(norms, mean, unbiased_var, counts) -> None:
    """What BatchNorm1d does to its buffers, for the classes that have a variance."""
    for c, norm in enumerate(norms):
        seen = counts[c] > 1
        momentum = norm.momentum * seen
        norm.running_mean.lerp_(mean[c], momentum)
        norm.running_var.lerp_(unbiased_var[c], momentum)
        norm.num_batches_tracked.add_(seen)
