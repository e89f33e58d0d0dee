"""Sums over the rows of each class: of values, and of the cosines to one direction per class."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from monai_proto.networks.tensor_checks import class_indices

__all__ = ["class_cosine_sums", "class_sums"]

# rows that a CPU thread handles at a time, few enough to stay in its caches from one operation to the next; on an
# accelerator a block bounds the memory that a step takes beside the features
_ROWS_PER_THREAD, _ROWS_ON_ACCELERATOR = 8192, 1 << 18
_ROWS_PER_SUM = 256  # rows that one running sum takes in
_EPS = 1e-12  # smallest norm, as torch.nn.functional.normalize has it


def class_sums(values: torch.Tensor, labels: torch.Tensor, num_classes: int) -> torch.Tensor:
    """
    Sum of the values of each class, in two levels: float32 would lose digits in one running sum over millions of rows,
    and stop counting ones at 2 ** 24.

    Args:
        values: (N,), floating.
        labels: class of each value (N,), integers in 0 .. C-1.
        num_classes: C.

    Returns:
        (C,), differentiable with respect to the values.
    """
    labels = labels.long()
    blocks = labels.shape[0] // _ROWS_PER_SUM + 1
    block_of_row = torch.arange(labels.shape[0], device=labels.device) // _ROWS_PER_SUM
    partial_sums = values.new_zeros(blocks * num_classes).index_add(0, block_of_row * num_classes + labels, values)
    return partial_sums.unflatten(0, (blocks, num_classes)).sum(0)


def class_cosine_sums(
    features: torch.Tensor, labels: torch.Tensor, directions: torch.Tensor, weights: torch.Tensor | None = None
) -> torch.Tensor:
    """
    For every class c the sum over its rows of ``w_i * (f_i / |f_i|) . g_c``.

    Works block by block, forwards and backwards: beside the features and their gradient only O(N) is kept. Sums are in
    float32, also under autocast.

    The backward pass is written by hand because plain operations take longer: 1.0 to 1.8 times (median 1.3; one product
    with all directions) or 1.1 to 2.6 times (median 1.6; the definition, with a direction gathered for each row).
    ``torch.compile`` of the definition takes 0.7 times in the median, but a C++ compiler where it runs, and seconds for
    the first step. Forward and backward, 12,000 and 18,000 rows, D 32 and 64, C 3 and 8, one and two threads:
    ``python -m benchmarks.class_cosine``. At 18,000 rows of 64 it needs 8.3 MiB, the plain forms 10 and 21.

    Args:
        features: rows f (N, D) of any floating type.
        labels: class of each row (N,), integers; rows with a label outside of 0 .. C-1 take no part.
        directions: g (C, D), of any length.
        weights: w (N,); 1 where there are none.

    Returns:
        sums (C,), float32, differentiable once with respect to features, directions and weights.
    """
    with torch.autocast(features.device.type, enabled=False):
        return _ClassCosineSums.apply(
            features, labels, directions.float(), None if weights is None else weights.float()
        )


def _blocks(features: torch.Tensor) -> Iterator[slice]:
    on_cpu = features.device.type == "cpu"
    size = _ROWS_PER_THREAD * torch.get_num_threads() if on_cpu else _ROWS_ON_ACCELERATOR
    for start in range(0, features.shape[0], size):
        yield slice(start, start + size)


class _ClassCosineSums(Function):
    @staticmethod
    def forward(
        ctx: Any,
        features: torch.Tensor,
        labels: torch.Tensor,
        directions: torch.Tensor,
        weights: torch.Tensor | None,
    ) -> torch.Tensor:
        num_classes = directions.shape[0]
        safe_labels, valid = class_indices(labels, num_classes)
        cosines = torch.empty(labels.shape, device=features.device)
        inverse_norms = torch.empty(labels.shape, device=features.device)
        for block in _blocks(features):
            rows = features[block].float().contiguous()
            inverse = torch.linalg.vector_norm(rows, dim=1).clamp_(min=_EPS).reciprocal_()
            products = directions.index_select(0, safe_labels[block]).mul_(rows).sum(1)
            torch.mul(products, inverse, out=cosines[block])
            inverse_norms[block] = inverse
        cosines = torch.where(valid, cosines, 0.0)
        ctx.save_for_backward(features, safe_labels, valid, directions, weights, cosines, inverse_norms)
        return class_sums(cosines if weights is None else cosines * weights, safe_labels, num_classes)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_sums: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        features, labels, valid, directions, weights, cosines, inverse_norms = ctx.saved_tensors
        need_features, _, need_directions, need_weights = ctx.needs_input_grad
        own_grad = torch.where(valid, grad_sums.index_select(0, labels), 0.0)
        grad_weights = own_grad * cosines if need_weights else None
        scale = own_grad * inverse_norms if weights is None else own_grad * weights * inverse_norms
        radial = scale * cosines * inverse_norms
        grad_features = torch.empty_like(features) if need_features else None
        grad_directions = torch.zeros_like(directions) if need_directions else None
        for block in _blocks(features):
            rows = features[block].float().contiguous()
            if grad_features is not None:
                tangential = directions.index_select(0, labels[block]).mul_(scale[block, None])
                torch.addcmul(tangential, rows, radial[block, None], value=-1.0, out=grad_features[block])
            if grad_directions is not None:
                spread = rows.new_zeros((rows.shape[0], directions.shape[0]))
                grad_directions.addmm_(spread.scatter_(1, labels[block, None], scale[block, None]).T, rows)
        return grad_features, None, grad_directions, grad_weights
