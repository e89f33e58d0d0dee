"""Losses and validation of a run, epoch by epoch, in a table that outlives the process."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import ignite.distributed as idist
import torch
from ignite.engine import Engine, Events

from monai_proto.handlers.loss_components import loss_components

__all__ = ["RunHistory", "class_values", "read_history"]

_COLUMNS = ("epoch", "kind", "name", "value")


class RunHistory:
    """
    After every epoch adds rows to ``history.csv``: ``loss`` and its components as means over the steps; behind each
    validation its metrics, the mean and of each class, and whether a better model was saved.

    Args:
        path: file of the table.
        model: file of the best model; the table says after which epochs it was written.
        class_names: names of so many classes as a metric has.
        write: false on the ranks of a distributed run that do not write.

    Attributes:
        losses: means of the last epoch.
        validation: metrics of the last validation; of each class as ``metric, class``.
    """

    def __init__(
        self, path: Path, model: Path, class_names: Callable[[int], Sequence[str]], write: bool = True
    ) -> None:
        self.path = path
        self.model = model
        self.class_names = class_names
        self.write = write
        self.losses: dict[str, float] = {}
        self.validation: dict[str, float] = {}
        self._sums: dict[str, float] = {}
        self._steps = 0
        self._answers: torch.Tensor | None = None
        self._model_written = 0

    def attach(self, trainer: Engine, evaluator: Engine) -> None:
        """
        Args:
            trainer: after its own handlers.
            evaluator: that validates while it trains.
        """
        trainer.add_event_handler(Events.STARTED, self._start)
        trainer.add_event_handler(Events.EPOCH_STARTED, self._start_epoch)
        trainer.add_event_handler(Events.ITERATION_COMPLETED, self._add_step)
        trainer.add_event_handler(Events.EPOCH_COMPLETED, self._end_epoch)
        evaluator.add_event_handler(Events.STARTED, self._start_validation)
        evaluator.add_event_handler(Events.ITERATION_COMPLETED, self._count_answers)
        evaluator.add_event_handler(Events.COMPLETED, self._add_validation)

    def mean_loss(self) -> float | None:
        """Of the steps of this epoch so far."""
        return self._sums["loss"] / self._steps if self._steps and "loss" in self._sums else None

    def _start(self, engine: Engine) -> None:
        """A resumed run forgets the epochs that its checkpoint does not know."""
        if not self.write:
            return
        kept = [row for row in read_history(self.path) if row[0] <= engine.state.epoch]
        self.path.unlink(missing_ok=True)
        self._append(kept)

    def _start_epoch(self) -> None:
        self._sums, self._steps = {}, 0

    def _add_step(self, engine: Engine) -> None:
        for name, value in loss_components(engine.state.output).items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        self._steps += 1

    def _end_epoch(self, engine: Engine) -> None:
        self.losses = {name: total / self._steps for name, total in self._sums.items()}
        self._append([(engine.state.epoch, "loss", name, value) for name, value in self.losses.items()])

    def _add_validation(self, engine: Engine) -> None:
        self.validation = class_values(engine, self.class_names) | self._recalls()
        epoch = engine.state.epoch  # the trainer's, as MONAI sets it
        self._append([(epoch, "validation", name, value) for name, value in self.validation.items()])
        if self._model_time() != self._model_written:
            self._append([(epoch, "model", self.model.name, next(iter(self.validation.values())))])

    def _model_time(self) -> int:
        return self.model.stat().st_mtime_ns if self.model.is_file() else 0

    def _start_validation(self) -> None:
        self._answers = None
        self._model_written = self._model_time()

    def _count_answers(self, engine: Engine) -> None:
        """Of a classifier, whose output is that of a whole batch."""
        output = engine.state.output
        if not isinstance(output, dict) or "label" not in output or output["pred"].ndim != 2:
            return
        classes = output["pred"].shape[1]
        hits = output["label"] == output["pred"].argmax(1)
        counts = [torch.bincount(labels, minlength=classes) for labels in (output["label"][hits], output["label"])]
        batch = torch.stack(counts).cpu()
        self._answers = batch if self._answers is None else self._answers + batch

    def _recalls(self) -> dict[str, float]:
        """Of every class that has an image."""
        if self._answers is None:
            return {}
        hits, images = torch.as_tensor(idist.all_reduce(self._answers)).tolist()
        names = self.class_names(len(images))
        return {f"val_recall, {c}": h / n for c, h, n in zip(names, hits, images, strict=True) if n}

    def _append(self, rows: Sequence[tuple[int, str, str, float]]) -> None:
        if not self.write:
            return
        new = not self.path.is_file()
        with self.path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            if new:
                writer.writerow(_COLUMNS)
            writer.writerows((epoch, kind, name, f"{value:.6g}") for epoch, kind, name, value in rows)


def class_values(engine: Engine, class_names: Callable[[int], Sequence[str]]) -> dict[str, float]:
    """
    Metrics of an evaluation: ``{metric: mean, "metric, class": mean over the cases that have the class}``.

    Args:
        engine: an evaluator behind its run.
        class_names: names of so many classes as a metric has.
    """
    values = {name: float(value) for name, value in engine.state.metrics.items() if _is_number(value)}
    for name, details in getattr(engine.state, "metric_details", {}).items():
        table = torch.as_tensor(details).double()
        table = table.reshape(len(table), -1)
        if table.shape[1] > 1:
            means = torch.nanmean(table, dim=0).tolist()
            values |= {f"{name}, {c}": v for c, v in zip(class_names(len(means)), means, strict=True)}
    return {name: value for name, value in values.items() if math.isfinite(value)}


def read_history(path: Path) -> list[tuple[int, str, str, float]]:
    """Rows ``(epoch, kind, name, value)`` of a table; none where there is no file."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [(int(r["epoch"]), r["kind"], r["name"], float(r["value"])) for r in csv.DictReader(file)]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) or (isinstance(value, torch.Tensor) and value.numel() == 1)
