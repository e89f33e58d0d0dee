from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from ignite.engine import Engine, Events

from monai_proto.apps.run.history import RunHistory, class_values, read_history


def names(count: int) -> list[str]:
    return ["anterior", "posterior"][:count]


def make_engines(dice: list, history: RunHistory, saves: Callable[[int], object] = lambda epoch: None) -> Engine:
    """A trainer whose loss is the number of the step, and an evaluator that finds ``dice[epoch - 1]``."""
    trainer = Engine(lambda engine, batch: [{"loss": batch, "loss_contrastive": 2 * batch, "image": None}])
    evaluator = Engine(lambda *_: [])
    history.attach(trainer, evaluator)

    @evaluator.on(Events.EPOCH_COMPLETED)
    def _score(engine: Engine) -> None:
        table = torch.tensor(dice[trainer.state.epoch - 1])
        engine.state.metric_details = {"val_mean_dice": table}
        engine.state.metrics = {"val_mean_dice": torch.nanmean(table).item()}
        saves(trainer.state.epoch)

    @trainer.on(Events.EPOCH_COMPLETED)
    def _validate(engine: Engine) -> None:
        # as MONAI's evaluator does: its epoch is the trainer's
        evaluator.state.epoch, evaluator.state.max_epochs = engine.state.epoch - 1, engine.state.epoch
        evaluator.run([0])

    return trainer


def test_every_epoch_has_its_mean_losses_and_the_dice_of_every_class(tmp_path):
    history = RunHistory(tmp_path / "history.csv", tmp_path / "model.pt", names)
    trainer = make_engines([[[0.2, 0.4], [0.4, float("nan")]], [[0.6, 0.8], [0.8, 0.8]]], history)
    trainer.run([1.0, 3.0], max_epochs=2)
    rows = {(epoch, name): value for epoch, _, name, value in read_history(tmp_path / "history.csv")}
    assert rows[1, "loss"] == 2.0
    assert rows[2, "loss_contrastive"] == 4.0
    assert rows[1, "val_mean_dice, anterior"] == pytest.approx(0.3)
    assert rows[1, "val_mean_dice, posterior"] == pytest.approx(0.4)
    assert rows[2, "val_mean_dice"] == pytest.approx(0.75)
    assert len(rows) == 10


def test_it_is_told_after_which_epochs_a_better_model_was_saved(tmp_path):
    model = tmp_path / "model.pt"
    history = RunHistory(tmp_path / "history.csv", model, names)
    dice = [[[0.5, 0.5]], [[0.7, 0.7]], [[0.6, 0.6]]]
    trainer = make_engines(dice, history, saves=lambda epoch: epoch < 3 and model.write_bytes(bytes(epoch)))
    trainer.run([1.0], max_epochs=3)
    saved = [(epoch, value) for epoch, kind, _, value in read_history(tmp_path / "history.csv") if kind == "model"]
    assert saved == [(1, 0.5), (2, 0.7)]


def test_a_resumed_run_forgets_what_came_behind_its_checkpoint(tmp_path):
    path = tmp_path / "history.csv"
    path.write_text("epoch,kind,name,value\n1,loss,loss,5\n2,loss,loss,4\n")
    trainer = make_engines([[[0.5, 0.5]]] * 2, RunHistory(path, tmp_path / "model.pt", names))
    trainer.load_state_dict({"epoch_length": 1, "max_epochs": 2, "iteration": 1})
    trainer.run([1.0], max_epochs=2, epoch_length=1)
    assert [row[:2] + row[3:] for row in read_history(path) if row[2] == "loss"] == [(1, "loss", 5.0), (2, "loss", 1.0)]


def test_recall_of_every_class_equals_counting(tmp_path):
    rng = np.random.default_rng(0)
    logits, labels = torch.tensor(rng.normal(size=(40, 2))), torch.tensor(rng.integers(0, 2, 40))
    history = RunHistory(tmp_path / "history.csv", tmp_path / "model.pt", names)
    trainer = Engine(lambda *_: {"loss": 1.0})
    evaluator = Engine(lambda _, part: {"pred": logits[part], "label": labels[part]})
    history.attach(trainer, evaluator)
    evaluator.run([slice(0, 25), slice(25, 40)])
    for value, name in enumerate(names(2)):
        of_class = [int(logits[i].argmax()) == value for i in range(40) if labels[i] == value]
        assert history.validation[f"val_recall, {name}"] == pytest.approx(sum(of_class) / len(of_class))


def test_a_class_that_no_case_has_is_left_out():
    state = SimpleNamespace(
        metrics={"val_mean_dice": 0.5, "curve": [1, 2]},
        metric_details={"val_mean_dice": torch.tensor([[0.5, float("nan")]])},
    )
    assert class_values(SimpleNamespace(state=state), names) == {"val_mean_dice": 0.5, "val_mean_dice, anterior": 0.5}
