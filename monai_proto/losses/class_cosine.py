"""Sum of the cosines between rows and one direction per class, in one pass over the rows."""

from __future__ import annotations

import torch
from torch.autograd import Function
from torch.autograd.function import once_differentiable

__all__ = ["class_cosine_sums"]

# rows handled at a time: on a CPU a block of 64 float32 columns stays in the second-level cache, so that the rows are
# read from memory once; an accelerator takes all rows at once
_CPU_BLOCK = 4096
_EPS = 1e-12  # smallest norm, as torch.nn.functional.normalize has it


def class_cosine_sums(
    features: torch.Tensor, labels: torch.Tensor, directions: torch.Tensor, weights: torch.Tensor | None = None
) -> torch.Tensor:
    """
    For every class c the sum over its rows of ``w_i * (f_i / |f_i|) . g_c``.

    Instead of gathering a direction for each row, which moves as much memory as the features themselves, all C
    products are taken (N x C values) and the row's own one is picked. Sums are in float32, also under autocast.

    Args:
        features: rows f (N, D) of any floating type.
        labels: class of each row (N,), int64; rows with a label outside of 0 .. C-1 take no part.
        directions: g (C, D), of any length.
        weights: w (N,); 1 where there are none.

    Returns:
        sums (C,), float32, differentiable once with respect to features, directions and weights.
    """
    with torch.autocast(features.device.type, enabled=False):
        return _ClassCosineSums.apply(
            features, labels, directions.float(), None if weights is None else weights.float()
        )


def _blocks(features: torch.Tensor):
    size = _CPU_BLOCK if features.device.type == "cpu" else max(features.shape[0], 1)
    for start in range(0, features.shape[0], size):
        yield slice(start, start + size)


class _ClassCosineSums(Function):
    @staticmethod
    def forward(ctx, features, labels, directions, weights):
        num_classes = directions.shape[0]
        valid = (labels >= 0) & (labels < num_classes)
        safe_labels = torch.where(valid, labels, 0)
        cosines = torch.empty(labels.shape, device=features.device)
        inverse_norms = torch.empty(labels.shape, device=features.device)
        for block in _blocks(features):
            rows = features[block].float()
            inverse = torch.linalg.vector_norm(rows, dim=1).clamp(min=_EPS).reciprocal_()
            products = rows @ directions.T
            own = products.take_along_dim(safe_labels[block, None], dim=1).squeeze(1)
            torch.mul(own, inverse, out=cosines[block])
            inverse_norms[block] = inverse
        cosines = torch.where(valid, cosines, 0.0)
        weighted = cosines if weights is None else cosines * weights
        ctx.save_for_backward(features, safe_labels, valid, directions, weights, cosines, inverse_norms)
        return directions.new_zeros(num_classes).index_add_(0, safe_labels, weighted)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_sums):
        features, labels, valid, directions, weights, cosines, inverse_norms = ctx.saved_tensors
        need_features, _, need_directions, need_weights = ctx.needs_input_grad
        own_grad = torch.where(valid, grad_sums[labels], 0.0)
        grad_weights = own_grad * cosines if need_weights else None
        scale = own_grad * inverse_norms if weights is None else own_grad * weights * inverse_norms
        radial = scale * cosines * inverse_norms
        grad_features = torch.empty_like(features) if need_features else None
        grad_directions = torch.zeros_like(directions) if need_directions else None
        for block in _blocks(features):
            # a one-hot matrix scaled by each row's gradient: its product with the directions is the tangential part
            spread = features.new_zeros((labels[block].shape[0], directions.shape[0]), dtype=torch.float32)
            spread.scatter_(1, labels[block, None], scale[block, None])
            rows = features[block].float()
            if need_features:
                grad_features[block] = (spread @ directions).addcmul_(rows, radial[block, None], value=-1.0)
            if need_directions:
                grad_directions.addmm_(spread.T, rows)
        return grad_features, None, grad_directions, grad_weights
