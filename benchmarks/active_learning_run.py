"""One run of the active learning benchmark: choose a study, label it, train on, and again."""

from __future__ import annotations

import copy
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ignite.engine import Events
from monai.data import Dataset
from monai.inferers import SlidingWindowInferer
from monai.losses import DiceCELoss
from monai.metrics import compute_dice
from monai.networks.nets import UNet
from monai.networks.utils import one_hot
from monai.utils import set_determinism

from benchmarks.active_learning_strategies import STRATEGIES, Strategy
from benchmarks.segmentation_data import TASKS, SegmentationTask, augmentation, load_volumes
from benchmarks.segmentation_methods import FEATURE_DIM, METHODS
from benchmarks.segmentation_run import EMA_DECAY, LEARNING_RATE
from monai_proto.data import StudyScore, TwoStreamDataLoader, select_study
from monai_proto.data.atomic_write import new_file_atomically
from monai_proto.data.safe_file_name import safe_file_name
from monai_proto.engines import SemiSupervisedTrainer, StudyScorer
from monai_proto.handlers import EMATeacherHandler, EpochSeedHandler
from monai_proto.handlers.named_checkpoint_loader import load_named_checkpoint
from monai_proto.metrics import thumbnail_embedding
from monai_proto.networks.nets import ProjectedSegmentationNet
from monai_proto.optimizers import selector_parameter_groups

__all__ = ["run"]

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
EPOCHS = 10  # of a round: the ramp-up takes the first four


def run(
    task_name: str, strategy_name: str, seed: int, labels: int, first_steps: int, round_steps: int
) -> dict[str, Any]:
    """
    Label one study after the other, and train after each on all labelled and unlabelled studies.

    A round is a training as the app starts one: from the averaged weights that the last one left, with a new optimiser
    and a learning rate that falls to zero. All strategies take the same steps. The last step of a round counts, nothing
    is selected on the validation cases. The seed draws the initial weights, the patches and the random studies.

    Args:
        task_name: which data.
        strategy_name: see ``active_learning_strategies``.
        seed: of the run.
        labels: studies to label.
        first_steps: steps with one label.
        round_steps: steps after each further one.

    Returns:
        configuration, ``curve`` (per round the study that was added, Dice of each class), seconds.
    """
    torch.set_num_threads(1)
    task, strategy = TASKS[task_name], STRATEGIES[strategy_name]
    training, validation, names = load_volumes(task)
    annotator = _Annotator(strategy, training, names, seed)
    set_determinism(seed)
    model = _Model(task)
    curve, steps, started = [], 0, time.perf_counter()
    for number in range(labels):
        chosen = annotator.choose(model if number else None)
        round_length = round_steps if number else first_steps
        labelled, unlabelled = annotator.divided()
        with _kept_first_round(model, None if number else f"{task_name} {names[chosen]} {seed} {first_steps}") as known:
            if not known:
                model.train(labelled, unlabelled, round_length, seed=1000 * seed + number)
        steps += round_length
        dice = _dice(model, validation)
        curve.append({"labels": number + 1, "added": names[chosen], "steps": steps, "dice": dice})
        print(f"{strategy_name} seed {seed}: {number + 1} labels, {np.mean(dice):.4f} ({names[chosen]})", flush=True)
    return {
        "task": task_name,
        "strategy": strategy_name,
        "seed": seed,
        "labels": labels,
        "first_steps": first_steps,
        "round_steps": round_steps,
        "device": torch.cuda.get_device_name() if DEVICE == "cuda" else "cpu",
        "curve": curve,
        "seconds": round(time.perf_counter() - started, 1),
    }


@contextmanager
def _kept_first_round(model: _Model, key: str | None) -> Iterator[bool]:
    """
    Whether the model of a first round was made already: several strategies start with the same study. It is kept in the
    system's temporary folder; remove it after changes of the training.
    """
    file = Path(tempfile.gettempdir()) / "monai_proto_active_learning" / f"{safe_file_name(key or '')}.pt"
    parts = {"teacher": model.teacher, "bank": model.bank}
    if key is None or not file.is_file():
        yield False
        parts["bank"] = model.bank
        if key is not None:
            file.parent.mkdir(exist_ok=True)
            with new_file_atomically(file) as stream:
                torch.save({name: part.state_dict() for name, part in parts.items()}, stream)
        return
    load_named_checkpoint(file, parts)
    yield True


class _Annotator:
    """Knows all labels, and gives them away in the order of a strategy."""

    def __init__(self, strategy: Strategy, volumes: list[dict], names: list[str], seed: int) -> None:
        self.strategy = strategy
        self.volumes = volumes
        self.names = names
        self.labelled: list[int] = []
        self.random_order = np.random.RandomState(seed).permutation(len(volumes)).tolist()

    def choose(self, model: _Model | None) -> int:
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

    def _by_scores(self, model: _Model | None) -> int:
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


class _Model:
    """What a training leaves: the averaged weights and the bank."""

    def __init__(self, task: SegmentationTask) -> None:
        self.task = task
        self.teacher = ProjectedSegmentationNet(
            UNet(3, 1, task.num_classes, (16, 32, 64, 128), (2, 2, 2), num_res_units=2), FEATURE_DIM
        ).to(DEVICE, memory_format=torch.channels_last_3d)
        self.bank = METHODS["ours"].trainer_parts(task.num_classes)["bank"].to(DEVICE)
        self.inferer = SlidingWindowInferer(task.patch_size, sw_batch_size=4, overlap=0.25)

    def train(self, labelled: list[dict], unlabelled: list[dict], steps: int, seed: int) -> None:
        """A training from the weights that are there; a function of them, the volumes and the seed alone."""
        set_determinism(seed)
        network = copy.deepcopy(self.teacher).requires_grad_(True)
        parts = METHODS["ours"].trainer_parts(self.task.num_classes)
        self.bank = parts["bank"].to(DEVICE)
        parts["contrastive_loss"].to(DEVICE)
        loader = TwoStreamDataLoader(
            Dataset(labelled, augmentation(self.task, ("image", "label"))),
            Dataset(unlabelled, augmentation(self.task, ("image",))),
            2,
            2,
            num_batches=steps // EPOCHS,
            seed=seed,
        )
        optimizer = torch.optim.AdamW(
            selector_parameter_groups(network, parts["contrastive_loss"], LEARNING_RATE), weight_decay=1e-4
        )
        schedule = torch.optim.lr_scheduler.PolynomialLR(optimizer, total_iters=steps, power=0.9)
        trainer = SemiSupervisedTrainer(
            DEVICE,
            EPOCHS,
            loader,
            network,
            optimizer,
            supervised_loss=DiceCELoss(to_onehot_y=True, softmax=True, batch=True),
            teacher=self.teacher,
            ramp_up_epochs=0.4 * EPOCHS,
            decollate=False,
            amp=True,
            train_handlers=[
                EpochSeedHandler(seed, loader, parts["copy_paste"]),
                EMATeacherHandler(network, self.teacher, decay=EMA_DECAY),
            ],
            **parts,
        )
        trainer.logger.setLevel("WARNING")
        trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda: schedule.step())
        trainer.run()


@torch.no_grad()
def _dice(model: _Model, volumes: list[dict]) -> list[float]:
    """Mean Dice of each class over whole volumes."""
    model.teacher.eval()
    num_classes = model.task.num_classes
    scores = []
    for volume in volumes:
        with torch.autocast(DEVICE):
            logits = model.inferer(
                volume["image"].unsqueeze(0).to(DEVICE), lambda images: model.teacher(images).float()
            )
        prediction = one_hot(logits.argmax(1, keepdim=True).cpu(), num_classes)
        scores.append(compute_dice(prediction, one_hot(volume["label"].unsqueeze(0), num_classes)))
    return torch.cat(scores)[:, 1:].nanmean(0).tolist()
