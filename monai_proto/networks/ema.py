"""The exponential moving average of a network's weights."""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["ema_decay", "update_ema"]


@torch.no_grad()
def update_ema(teacher: nn.Module, student: nn.Module, decay: float) -> None:
    """
    ``t = decay t + (1 - decay) s`` for every parameter; buffers are copied.

    Args:
        teacher: changed in place.
        student: a module of the same architecture.
        decay: in 0 .. 1.
    """
    torch._foreach_lerp_(list(teacher.parameters()), list(student.parameters()), 1.0 - decay)
    for teacher_buffer, student_buffer in zip(teacher.buffers(), student.buffers(), strict=True):
        teacher_buffer.copy_(student_buffer)


def ema_decay(iteration: int, decay: float) -> float:
    """
    ``min(decay, 1 - 1/(iteration + 1))``, with which the average starts as a plain mean and forgets the random
    initialisation (Tarvainen and Valpola, NeurIPS 2017).

    Args:
        iteration: updates so far, from 1 on.
        decay: the limit.
    """
    return min(decay, 1.0 - 1.0 / (iteration + 1))
