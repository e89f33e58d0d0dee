"""Scores of rows by the selector of their own class, all classes at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from monai_proto.networks.blocks.class_tiles import ClassTiles

__all__ = ["selector_scores"]

_NEGATIVE_SLOPE = 0.2


def selector_scores(
    selectors: nn.ModuleList, features: torch.Tensor, labels: torch.Tensor, training: bool | None = None
) -> torch.Tensor:
    """
    ``sigmoid(selector_c(f))`` of every row from the selector of its class.

    Rows are laid out in tiles of one class each (:class:`ClassTiles`), so that one batched product serves all classes.
    Batch statistics are those of the class's own rows, as if its selector had been called on them; a class without
    rows leaves its running statistics alone, and one with a single row uses them (one row has no variance).

    Only two steps handle N rows: the moments of each class's rows and the scores themselves. The rest, batch
    normalisation included, is algebra on the selectors' weights, which autograd differentiates: the mean and variance
    of a linear layer's output follow from those of its input, and normalisation folds into the layer.

    Of the plain forms, all selectors on all rows in one product take 1.9 to 3.3 times as long; a loop over the classes
    0.6 to 0.8 times on a CPU, but an accelerator's host has to wait for the number of rows of each class, and at 18,000
    rows of 64 it needs 20 MiB beside the features in place of 11 (12,000 and 18,000 rows,
    ``python -m benchmarks.class_cosine``; docs/benchmarks.md).

    Args:
        selectors: C modules :class:`FeatureSelector`.
        features: rows (N, D); detached.
        labels: class of each row (N,), integers; rows with a label outside of 0 .. C-1 score 0.
        training: batch statistics or running ones; by default as the selectors' own mode says.

    Returns:
        (N,), float32, differentiable once with respect to the selectors' weights.
    """
    with torch.autocast(features.device.type, enabled=False):
        # rows are gathered one by one, which is slow when the row of a map's view lies scattered over its channels
        return _selector_scores(selectors, features.detach().contiguous(), labels, training)


def _selector_scores(
    selectors: Iterable[nn.Module], features: torch.Tensor, labels: torch.Tensor, training: bool | None
) -> torch.Tensor:
    if features.shape[0] == 0:
        return features.new_zeros(0, dtype=torch.float32)
    layers = [cast("nn.Sequential", selector) for selector in selectors]
    norms = [cast("nn.BatchNorm1d", selector[1]) for selector in layers]
    weight, bias = _stacked(layers, 0, "weight"), _stacked(layers, 0, "bias")
    mean, var = _stacked(layers, 1, "running_mean"), _stacked(layers, 1, "running_var")
    tiles = ClassTiles(labels, len(layers))
    centres = None
    if norms[0].training if training is None else training:
        centres, covariance = _class_moments(features, tiles)
        batch_mean = _per_class(weight, centres) + bias
        batch_var = ((weight @ covariance) * weight).sum(-1).clamp(min=0.0)
        _update_running(norms, batch_mean.detach(), batch_var.detach(), tiles.counts)
        has_variance = (tiles.counts > 1).unsqueeze(-1)
        mean, var = torch.where(has_variance, batch_mean, mean), torch.where(has_variance, batch_var, var)
        bias = bias + _per_class(weight, centres)
    scale = _stacked(layers, 1, "weight") * (var + norms[0].eps).rsqrt()
    shift = (bias - mean) * scale + _stacked(layers, 1, "bias")
    last_weight, last_bias = _stacked(layers, 3, "weight").squeeze(1), _stacked(layers, 3, "bias")
    raw = _TileScores.apply(features, tiles, centres, weight * scale.unsqueeze(-1), shift, last_weight, last_bias)
    scores = raw.reshape(-1).index_select(0, tiles.slot_of_row).sigmoid()
    return torch.where(tiles.in_class, scores, 0.0)


def _stacked(selectors: Sequence[nn.Sequential], layer: int, name: str) -> torch.Tensor:
    return torch.stack([getattr(selector[layer], name) for selector in selectors])


def _per_class(matrices: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
    """Products of (C, D, D) with (C, D)."""
    return (matrices @ vectors.unsqueeze(-1)).squeeze(-1)


def _class_moments(features: torch.Tensor, tiles: ClassTiles) -> tuple[torch.Tensor, torch.Tensor]:
    """
    Mean (C, D) and biased covariance (C, D, D) of the rows of each class, in one pass: sums are taken about the mean of
    the class's first tile, which is close enough to the class's for float32.
    """
    num_classes, feature_dim = tiles.counts.shape[0], features.shape[1]
    rows = tiles.counts.clamp(min=1).unsqueeze(-1)
    in_use = tiles.in_use.unsqueeze(-1).float()
    first = tiles.first_tile
    origin = (tiles.gather(features, first) * in_use[first]).sum(1) / in_use[first].sum(1).clamp(min=1)
    total, products = torch.zeros_like(origin), origin.new_zeros((num_classes, feature_dim, feature_dim))
    for block in tiles.blocks():
        centred = tiles.gather(features, block, origin).mul_(in_use[block])
        total.index_add_(0, tiles.tile_class[block], centred.sum(1))
        products.index_add_(0, tiles.tile_class[block], torch.bmm(centred.transpose(1, 2), centred))
    offset = total / rows
    return origin + offset, products / rows.unsqueeze(-1) - offset.unsqueeze(2) * offset.unsqueeze(1)


@torch.no_grad()
def _update_running(
    norms: Sequence[nn.BatchNorm1d], mean: torch.Tensor, var: torch.Tensor, counts: torch.Tensor
) -> None:
    """What BatchNorm1d does to its buffers, for the classes that have a variance."""
    unbiased_var = var * (counts / (counts - 1).clamp(min=1)).unsqueeze(-1)
    for c, norm in enumerate(norms):
        seen = counts[c] > 1
        if norm.momentum is None or not norm.track_running_stats:
            raise ValueError("selectors' batch normalisation must have a momentum and running statistics.")
        running_mean, running_var = norm.get_buffer("running_mean"), norm.get_buffer("running_var")
        momentum = norm.momentum * seen
        running_mean.lerp_(mean[c], momentum)
        running_var.lerp_(unbiased_var[c], momentum)
        norm.get_buffer("num_batches_tracked").add_(seen)


class _TileScores(Function):
    """``last_weight . leaky_relu(weight (f - centre) + shift) + last_bias`` of each row, with its class's values."""

    @staticmethod
    def forward(
        ctx: Any,
        features: torch.Tensor,
        tiles: ClassTiles,
        centres: torch.Tensor | None,
        weight: torch.Tensor,
        shift: torch.Tensor,
        last_weight: torch.Tensor,
        last_bias: torch.Tensor,
    ) -> torch.Tensor:
        raw = torch.empty(tiles.in_use.shape, device=features.device)
        for block in tiles.blocks():
            hidden = _hidden(tiles.gather(features, block, centres), tiles, block, weight, shift)
            weighted = F.leaky_relu_(hidden, _NEGATIVE_SLOPE).mul_(tiles.of_class(last_weight, block).unsqueeze(1))
            torch.add(weighted.sum(-1), tiles.of_class(last_bias, block), out=raw[block])
        ctx.tiles = tiles
        ctx.save_for_backward(features, centres, weight, shift, last_weight)
        return raw

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_raw: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        features, centres, weight, shift, last_weight = ctx.saved_tensors
        tiles = ctx.tiles
        # sums over the rows of a class of gradient x slope, and of its product with the row: all gradients follow
        slopes, slopes_rows = torch.zeros_like(shift), torch.zeros_like(weight)
        for block in tiles.blocks():
            rows = tiles.gather(features, block, centres)
            hidden = _hidden(rows, tiles, block, weight, shift)
            grad = grad_raw[block].unsqueeze(-1).expand_as(hidden)
            slope = torch.ops.aten.leaky_relu_backward(grad, hidden, _NEGATIVE_SLOPE, False)
            slopes.index_add_(0, tiles.tile_class[block], slope.sum(1))
            slopes_rows.index_add_(0, tiles.tile_class[block], torch.bmm(slope.transpose(1, 2), rows))
        grad_last_bias = torch.zeros_like(last_weight[:, :1]).index_add_(0, tiles.tile_class, grad_raw.sum(1, True))
        grad_last_weight = (weight * slopes_rows).sum(-1) + shift * slopes
        grad_weight, grad_shift = last_weight.unsqueeze(-1) * slopes_rows, last_weight * slopes
        return None, None, None, grad_weight, grad_shift, grad_last_weight, grad_last_bias


def _hidden(
    rows: torch.Tensor, tiles: ClassTiles, block: slice, weight: torch.Tensor, shift: torch.Tensor
) -> torch.Tensor:
    """Normalised output of the selectors' first layer for the rows of a block."""
    return torch.baddbmm(tiles.of_class(shift, block).unsqueeze(1), rows, tiles.of_class(weight, block).transpose(1, 2))
