from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from monai_proto.networks.ema import ema_decay, update_ema


def make_network(seed):
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Conv2d(3, 2, 1))
    network(torch.randn(2, 1, 8, 8) * (seed + 1))  # running statistics of its own
    return network


@pytest.mark.parametrize("decay", [0.0, 0.3, 0.99, 1.0])
def test_update_is_the_formula_of_each_weight(decay):
    teacher, student = make_network(0), make_network(1)
    expected = [
        decay * t.detach() + (1 - decay) * s.detach()
        for t, s in zip(teacher.parameters(), student.parameters(), strict=True)
    ]
    before = copy.deepcopy(student.state_dict())
    update_ema(teacher, student, decay)
    for ours, wanted in zip(teacher.parameters(), expected, strict=True):
        torch.testing.assert_close(ours.detach(), wanted, rtol=0, atol=1e-6)
    for ours, theirs in zip(teacher.buffers(), student.buffers(), strict=True):
        assert torch.equal(ours, theirs)
    for name, value in student.state_dict().items():
        assert torch.equal(value, before[name])


def test_update_leaves_no_gradient_graph():
    teacher, student = make_network(0), make_network(1)
    update_ema(teacher, student, 0.9)
    assert all(p.is_leaf and p.grad is None for p in teacher.parameters())


def test_update_refuses_another_architecture():
    with pytest.raises(RuntimeError):
        update_ema(nn.Linear(3, 2), nn.Linear(4, 2), 0.9)


def test_decay_starts_as_a_plain_mean():
    """With it the teacher is the mean of initial and later weights until the limit is reached."""
    values, mean = [4.0, 7.0, 1.0, 8.0], None
    for iteration, value in enumerate(values):
        mean = value if mean is None else ema_decay(iteration, 0.999) * mean + (1 - ema_decay(iteration, 0.999)) * value
    assert mean == pytest.approx(5.0)
    assert ema_decay(10_000, 0.99) == 0.99
