from __future__ import annotations

import copy

import pytest
import torch
from ignite.engine import Engine, Events
from torch import nn

from monai_proto.handlers import EMATeacherHandler


def make_student() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))


def step(student: nn.Module):
    def process(engine, batch):
        with torch.no_grad():
            for parameter in student.parameters():
                parameter.add_(0.1 * engine.state.iteration)
        student(batch)

    return process


def test_teacher_is_the_moving_average_with_warm_up():
    student = make_student()
    teacher = copy.deepcopy(student)
    expected = [p.detach().clone() for p in student.parameters()]
    engine = Engine(step(student))
    EMATeacherHandler(student, teacher, decay=0.6).attach(engine)

    @engine.on(Events.ITERATION_COMPLETED)
    def _expect() -> None:
        decay = min(0.6, 1 - 1 / (engine.state.iteration + 1))
        for average, parameter in zip(expected, student.parameters(), strict=True):
            average.mul_(decay).add_(parameter.detach(), alpha=1 - decay)

    engine.run([torch.randn(5, 3)] * 6, max_epochs=1)
    for average, parameter in zip(expected, teacher.parameters(), strict=True):
        torch.testing.assert_close(parameter, average)
    assert torch.equal(teacher[1].running_mean, student[1].running_mean)
    assert teacher[1].running_mean.data_ptr() != student[1].running_mean.data_ptr()


def test_teacher_starts_as_the_student_and_takes_no_gradient():
    student, teacher = make_student(), nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    engine = Engine(lambda *_: None)
    EMATeacherHandler(student, teacher).attach(engine)
    engine.run([0], max_epochs=1)
    assert torch.equal(teacher[0].weight, student[0].weight)
    assert not any(p.requires_grad for p in teacher.parameters())
    assert not teacher.training


def test_bad_arguments():
    student = make_student()
    with pytest.raises(ValueError, match="decay must be in 0"):
        EMATeacherHandler(student, copy.deepcopy(student), decay=1.5)
    with pytest.raises(ValueError, match="teacher must be a copy"):
        EMATeacherHandler(student, student)
