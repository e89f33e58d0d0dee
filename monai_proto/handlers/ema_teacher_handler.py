"""Keeps a teacher network at the moving average of its student."""

from __future__ import annotations

from ignite.engine import Engine, Events
from torch import nn

from monai_proto.networks.ema import ema_decay, update_ema
from monai_proto.networks.freezing import freeze

__all__ = ["EMATeacherHandler"]


class EMATeacherHandler:
    """
    After every iteration: teacher = decay * teacher + (1 - decay) * student (Tarvainen and Valpola, "Mean teachers are
    better role models", NeurIPS 2017).

    ignite's ``EMAHandler`` makes its own copy of the model; here the teacher is given, since the trainer, the
    evaluator and the checkpoint share it. At the start of a new run the teacher is made equal to the student; a
    resumed run keeps what its checkpoint restored. The only state is the teacher's: save it with the checkpoint.

    Args:
        student: the network in training, or the DistributedDataParallel around it.
        teacher: a network of the same architecture.
        decay: the limit of the decay, which grows as ``1 - 1/(iteration + 1)`` until there.
        warm_up: whether it grows. A student that starts from trained weights needs none: its start is worth keeping.

    Raises:
        ValueError: when ``decay`` is not in 0 .. 1, or teacher and student are the same object.
    """

    def __init__(self, student: nn.Module, teacher: nn.Module, decay: float = 0.99, warm_up: bool = True) -> None:
        if not 0 <= decay <= 1:
            raise ValueError(f"decay must be in 0 .. 1, got {decay}.")
        self.student = student.module if isinstance(student, nn.parallel.DistributedDataParallel) else student
        if teacher is self.student:
            raise ValueError("teacher must be a copy of the student, got the same network.")
        self.teacher = teacher
        self.decay = decay
        self.warm_up = warm_up

    def attach(self, engine: Engine) -> None:
        """
        Args:
            engine: the trainer.
        """
        engine.add_event_handler(Events.STARTED, self.start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.update)

    def start(self, engine: Engine) -> None:
        """Take the teacher out of training, and make it equal to the student unless the run goes on."""
        freeze(self.teacher)
        if engine.state.iteration == 0:
            self.teacher.load_state_dict(self.student.state_dict())

    def update(self, engine: Engine) -> None:
        """Move the teacher towards the student."""
        decay = ema_decay(engine.state.iteration, self.decay) if self.warm_up else self.decay
        update_ema(self.teacher, self.student, decay)
