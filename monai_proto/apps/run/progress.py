"""What a person sees while a bundle trains: one bar, or plain lines where nobody looks on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from ignite.engine import Engine, Events
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from monai_proto.apps.run.history import RunHistory

__all__ = ["EvaluationProgress", "TrainingProgress", "metric_title", "wait"]


class TrainingProgress:
    """
    On a terminal a bar with the epoch, the losses and the time left; what a validation finds is printed above it. Else
    a line an epoch.

    Args:
        console: where to.
        history: attached before, so that its figures are there.
    """

    def __init__(self, console: Console, history: RunHistory) -> None:
        self.console = console
        self.history = history
        self._progress = _make_progress(console)
        self._epochs: TaskID | None = None
        self._between: TaskID | None = None
        self._started = self._epoch_started = 0.0
        self._first_epoch = 0
        self._said: dict[str, float] = {}

    def attach(self, trainer: Engine, evaluator: Engine) -> None:
        """
        Args:
            trainer: behind its own handlers and the history.
            evaluator: that validates while it trains.
        """
        trainer.add_event_handler(Events.STARTED, self._start)
        trainer.add_event_handler(Events.EPOCH_STARTED, self._start_epoch)
        trainer.add_event_handler(Events.ITERATION_COMPLETED, self._step)
        trainer.add_event_handler(Events.EPOCH_COMPLETED, self._end_epoch)
        EvaluationProgress(self.console, "validation", self._progress).attach(evaluator)

    @contextmanager
    def shown(self) -> Iterator[None]:
        """The bar is on the screen within the ``with`` block."""
        if not self.console.is_terminal:
            yield
            return
        with self._progress:
            yield

    def _start(self, engine: Engine) -> None:
        self._started = time.monotonic()
        self._first_epoch = engine.state.epoch
        steps, epochs = _length(engine)
        done = engine.state.epoch * steps
        self._epochs = self._progress.add_task("training", total=epochs * steps, completed=done)

    def _start_epoch(self, engine: Engine) -> None:
        self._epoch_started = time.monotonic()
        self._end_between()

    def _step(self, engine: Engine) -> None:
        state = engine.state
        assert self._epochs is not None
        loss = self.history.mean_loss()
        told = "" if loss is None else f", loss {loss:.4g}"
        self._progress.update(self._epochs, completed=state.iteration, description=f"epoch {_of(engine)}{told}")
        if state.iteration % _length(engine)[0] == 0:
            # prototypes are pushed, checkpoints and pictures written: how long that takes nobody knows
            self._between = self._progress.add_task(f"end of epoch {state.epoch}", total=None)

    def _end_epoch(self, engine: Engine) -> None:
        self._end_between()
        epoch, now = engine.state.epoch, time.monotonic()
        if not self.console.is_terminal:
            left = (now - self._started) / (epoch - self._first_epoch) * (_length(engine)[1] - epoch)
            losses = ", ".join(f"{name} {value:.4g}" for name, value in self.history.losses.items())
            took = f"{_duration(now - self._epoch_started)}, {_duration(left)} left"
            self.console.print(f"epoch {_of(engine)}: {losses} ({took})")
        if self.history.validation and self.history.validation != self._said:
            self._said = dict(self.history.validation)
            values = ", ".join(f"{metric_title(name)} {value:.3f}" for name, value in self._said.items())
            self.console.print(f"epoch {_of(engine)}: validation {values}")

    def _end_between(self) -> None:
        if self._between is not None:
            self._progress.remove_task(self._between)
            self._between = None


class EvaluationProgress:
    """
    A bar for one run of an evaluator, on a terminal only.

    Args:
        console: where to.
        title: of the bar.
        progress: that it is part of; None for one of its own.
    """

    def __init__(self, console: Console, title: str, progress: Progress | None = None) -> None:
        self.console = console
        self.title = title
        self.own = progress is None
        self._progress = _make_progress(console) if progress is None else progress
        self._task: TaskID | None = None

    def attach(self, engine: Engine) -> None:
        """
        Args:
            engine: the evaluator.
        """
        if self.console.is_terminal:
            engine.add_event_handler(Events.STARTED, self._start)
            engine.add_event_handler(Events.ITERATION_COMPLETED, self._step)
            engine.add_event_handler(Events.COMPLETED, self._end)

    @contextmanager
    def shown(self) -> Iterator[None]:
        """The bar is on the screen within the ``with`` block."""
        if not self.console.is_terminal:
            self.console.print(f"{self.title[0].upper()}{self.title[1:]} ...")
            yield
            return
        with self._progress:
            yield

    def _start(self, engine: Engine) -> None:
        self._task = self._progress.add_task(self.title, total=engine.state.epoch_length)

    def _step(self) -> None:
        assert self._task is not None
        self._progress.advance(self._task)

    def _end(self) -> None:
        assert self._task is not None
        if not self.own:
            self._progress.remove_task(self._task)


@contextmanager
def wait(console: Console, what: str) -> Iterator[None]:
    """Says what happens while nothing can be counted; on a terminal only."""
    if not console.is_terminal:
        yield
        return
    with _progress_of(console, SpinnerColumn(), TextColumn("{task.description} ..."), TimeElapsedColumn()) as progress:
        progress.add_task(what, total=None)
        yield


def metric_title(name: str) -> str:
    """``val_mean_dice, liver`` as a person reads it: ``Dice, liver``."""
    metric, _, label = name.partition(", ")
    words = metric.removeprefix("val_").removeprefix("mean_").replace("_", " ")
    title = {"dice": "Dice", "iou": "IoU"}.get(words, words)
    return f"{title} {label}" if label else title


def _make_progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return _progress_of(console, *columns, TimeRemainingColumn(), TextColumn("left"))


def _progress_of(console: Console, *columns: ProgressColumn) -> Progress:
    """What libraries print stays where it goes: rich would take it to the screen."""
    return Progress(*columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False)


def _length(engine: Engine) -> tuple[int, int]:
    """Steps of an epoch, and epochs, of an engine that runs."""
    steps, epochs = engine.state.epoch_length, engine.state.max_epochs
    assert steps is not None
    assert epochs is not None
    return steps, epochs


def _of(engine: Engine) -> str:
    return f"{engine.state.epoch}/{engine.state.max_epochs}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
