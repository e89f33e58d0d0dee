from __future__ import annotations

import math

import pytest
import torch

from monai_proto.losses import SoftmaxConsistencyLoss, softmax_consistency_loss


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (1, 2, 3, 3, 3)])
def test_mean_square_of_probability_differences(shape):
    torch.manual_seed(0)
    student, teacher = torch.randn(shape), torch.randn(shape)
    total = 0.0
    for p, q in zip(
        student.movedim(1, -1).reshape(-1, shape[1]), teacher.movedim(1, -1).reshape(-1, shape[1]), strict=True
    ):
        exp_p, exp_q = [math.exp(x) for x in p.tolist()], [math.exp(x) for x in q.tolist()]
        total += sum((a / sum(exp_p) - b / sum(exp_q)) ** 2 for a, b in zip(exp_p, exp_q, strict=True))
    assert SoftmaxConsistencyLoss()(student, teacher).item() == pytest.approx(total / student.numel(), abs=1e-6)


def test_only_the_student_gets_a_gradient():
    student, teacher = (torch.randn(2, 3, 4, 4, requires_grad=True) for _ in range(2))
    softmax_consistency_loss(student, teacher).backward()
    assert student.grad.any()
    assert teacher.grad is None
    assert softmax_consistency_loss(student, student + 7).item() == pytest.approx(0, abs=1e-9)


def test_half_precision_is_compared_in_float32():
    student, teacher = torch.randn(2, 3, 4, 4).half(), torch.randn(2, 3, 4, 4).half()
    value = softmax_consistency_loss(student, teacher)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, softmax_consistency_loss(student.float(), teacher.float()))


def test_refuses_shapes_that_differ():
    with pytest.raises(ValueError, match=r"same shape, got \(2, 3, 4, 4\) and \(2, 3, 4, 5\)"):
        softmax_consistency_loss(torch.zeros(2, 3, 4, 4), torch.zeros(2, 3, 4, 5))
