"""One run of the active learning benchmark: choose a study, label it, train on, and again."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.utils import set_determinism

from benchmarks.active_learning_model import DEVICE, SimulatedModel, train_first_round
from benchmarks.active_learning_strategies import STRATEGIES, Strategy
from benchmarks.segmentation_data import TASKS, SegmentationTask, load_volumes
from monai_proto.active_learning import StudyScore, StudyScorer, select_study, thumbnail_embedding

__all__ = ["run"]


def run(
    task_name: str,
    strategy_name: str,
    seed: int,
    labels: int,
    first_steps: int,
    round_steps: int,
    pool: float,
    from_scratch: bool,
) -> dict[str, Any]:
    """
    Label one study after the other, and train after each on all labelled and unlabelled studies.

    A round is a training as the app starts one: from the averaged weights that the last one left (``pretrained``) or
    from the initial ones, with a new optimiser and a learning rate that falls to zero. All strategies take the same
    steps. The last step of a round counts, nothing is selected on the validation cases. The seed draws the initial
    weights, the patches, the random studies and the pool.

    Args:
        task_name: which data.
        strategy_name: see ``active_learning_strategies``.
        seed: of the run.
        labels: studies to label.
        first_steps: steps with one label.
        round_steps: steps after each further one.
        pool: share of the subjects whose studies there are, for the choice and as unlabelled ones.
        from_scratch: whether each round starts from the seed's initial weights, so that rounds differ in their labels
            alone.

    Returns:
        configuration, ``curve`` (per round the study that was added, Dice of each class), seconds.
    """
    torch.set_num_threads(1)
    task, strategy = TASKS[task_name], STRATEGIES[strategy_name]
    training, validation, items = load_volumes(task)
    pool_indices = _drawn_pool([item["patient_id"] for item in items], pool, seed)
    training = [training[index] for index in pool_indices]
    names = [Path(items[index]["image"]).name for index in pool_indices]
    annotator = _Annotator(strategy, training, names, seed)
    model = _initial_model(task, strategy, seed)
    curve, steps, started = [], 0, time.perf_counter()
    for number in range(labels):
        chosen = annotator.choose(model if number else None)
        round_length = round_steps if number else first_steps
        arguments = (*annotator.divided(), round_length, 1000 * seed + number)
        if number == 0:
            train_first_round(model, *arguments, study=names[chosen], pool=pool)
        else:
            if from_scratch:
                model, steps = _initial_model(task, strategy, seed), 0
            model.train(*arguments)
        steps += round_length
        dice = model.case_dice(validation).nanmean(0).tolist()
        curve.append({"labels": number + 1, "added": names[chosen], "steps": steps, "dice": dice})
        print(f"{strategy_name} seed {seed}: {number + 1} labels, {np.mean(dice):.4f} ({names[chosen]})", flush=True)
    return {
        "task": task_name,
        "strategy": strategy_name,
        "seed": seed,
        "labels": labels,
        "first_steps": first_steps,
        "round_steps": round_steps,
        "pool": pool,
        "from_scratch": from_scratch,
        "device": torch.cuda.get_device_name() if DEVICE == "cuda" else "cpu",
        "curve": curve,
        "seconds": round(time.perf_counter() - started, 1),
    }


def _initial_model(task: SegmentationTask, strategy: Strategy, seed: int) -> SimulatedModel:
    set_determinism(seed)
    return SimulatedModel(task, strategy.method)


def _drawn_pool(subjects: list[str], share: float, seed: int) -> list[int]:
    """Indices, in the list's order, of the studies of a random share of the subjects."""
    distinct = sorted(set(subjects))
    number = max(round(share * len(distinct)), 1)
    drawn = {distinct[index] for index in np.random.RandomState(seed).permutation(len(distinct))[:number]}
    return [index for index, subject in enumerate(subjects) if subject in drawn]


class _Annotator:
    """Knows all labels, and gives them away in the order of a strategy."""

    def __init__(self, strategy: Strategy, volumes: list[dict], names: list[str], seed: int) -> None:
        self.strategy = strategy
        self.volumes = volumes
        self.names = names
        self.labelled: list[int] = []
        self.random_order = np.random.RandomState(seed).permutation(len(volumes)).tolist()

    def choose(self, model: SimulatedModel | None) -> int:
        """Label the next study; without a model it is the first one."""
        if self.strategy.order == "list":
            chosen = len(self.labelled)
        elif self.strategy.order == "random" or (model is None and not self.strategy.typical_start):
            chosen = self.random_order[len(self.labelled)]
        else:
            chosen = self._by_scores(model)
        self.labelled.append(chosen)
        return chosen

    def divided(self) -> tuple[list[dict], list[dict]]:
        """Labelled volumes, and the others without their labels."""
        known = set(self.labelled)
        unlabelled = [{"image": v["image"]} for index, v in enumerate(self.volumes) if index not in known]
        return [self.volumes[index] for index in self.labelled], unlabelled

    def _by_scores(self, model: SimulatedModel | None) -> int:
        if model is None:
            scores = {n: StudyScore(thumbnail_embedding(v["image"])) for n, v in self._named()}
        else:
            scorer = StudyScorer(
                model.teacher, model.inferer, model.bank, DEVICE, amp=True, embedding=self.strategy.embedding
            )
            scores = {n: scorer(v["image"], n) for n, v in self._named()}
        known = [scores.pop(self.names[index]).embedding for index in self.labelled]
        return self.names.index(select_study(scores, known, known[-1:], **self.strategy.options).study_id)

    def _named(self):
        return zip(self.names, self.volumes, strict=True)
