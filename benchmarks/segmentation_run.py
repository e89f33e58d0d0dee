"""One training run of the semi-supervised benchmark."""

from __future__ import annotations

import copy
import time
from typing import Any

import torch
from ignite.engine import Events
from monai.utils import set_determinism

from benchmarks.segmentation_data import TASKS, load_split
from benchmarks.segmentation_methods import METHODS
from benchmarks.segmentation_training import case_dice, make_network, make_trainer

__all__ = ["run"]

EPOCHS = 20


def run(task_name: str, method_name: str, num_labelled: int, seed: int, steps: int) -> dict[str, Any]:
    """
    Train once; evaluate the moving average of the weights four times on the validation cases, the last weights once.

    Every method sees the same labelled patches in the same order (batches of 2), the same initial weights and learning
    rate; methods that use unlabelled images see 2 of them beside. The last step counts: nothing is selected on the
    validation cases.

    Returns:
        configuration, ``curve`` (step, Dice of each class of the moving average), Dice of the last weights, seconds.
    """
    torch.set_num_threads(1)
    task, method = TASKS[task_name], METHODS[method_name]
    set_determinism(seed)
    split = load_split(task, None if method.all_labelled else num_labelled, seed, method.strong_views)
    network = make_network(task)
    teacher = copy.deepcopy(network)
    trainer = make_trainer(method, task, split.labelled, split.unlabelled, network, teacher, steps, EPOCHS, seed)
    curve: list[dict[str, Any]] = []

    @trainer.on(Events.EPOCH_COMPLETED(every=EPOCHS // 4))
    def _evaluate() -> None:
        dice = case_dice(teacher, split.validation, task).nanmean(0).tolist()
        curve.append({"step": trainer.state.iteration, "ema": dice})

    started = time.perf_counter()
    trainer.run()
    return {
        "task": task_name,
        "method": method_name,
        "num_labelled": num_labelled,
        "seed": seed,
        "steps": steps,
        "labelled_cases": split.labelled_names if not method.all_labelled else "all",
        "curve": curve,
        "last_weights": case_dice(network, split.validation, task).nanmean(0).tolist(),
        "seconds": round(time.perf_counter() - started, 1),
    }
