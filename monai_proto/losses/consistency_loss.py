"""Agreement of a student with the soft predictions of its teacher."""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["SoftmaxConsistencyLoss", "softmax_consistency_loss"]


def softmax_consistency_loss(student_logits: torch.Tensor, teacher_logits: torch.Tensor) -> torch.Tensor:
    """
    Mean squared difference of the softmax probabilities (Tarvainen and Valpola, "Mean teachers are better role
    models", NeurIPS 2017). The teacher's side is detached.

    Args:
        student_logits: (B, C, *spatial).
        teacher_logits: the same shape.

    Returns:
        scalar, float32.

    Raises:
        ValueError: when the shapes differ.
    """
    if student_logits.shape != teacher_logits.shape:
        raise ValueError(
            f"student_logits and teacher_logits must have the same shape, got {tuple(student_logits.shape)} and "
            f"{tuple(teacher_logits.shape)}."
        )
    student = student_logits.float().softmax(dim=1)
    return (student - teacher_logits.detach().float().softmax(dim=1)).square().mean()


class SoftmaxConsistencyLoss(nn.Module):
    """:func:`softmax_consistency_loss` as a module, called ``loss(student_logits, teacher_logits)``."""

    def forward(self, student_logits: torch.Tensor, teacher_logits: torch.Tensor) -> torch.Tensor:
        return softmax_consistency_loss(student_logits, teacher_logits)
