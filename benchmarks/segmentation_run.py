"""One training run of the semi-supervised benchmark."""

from __future__ import annotations

import copy
import time
from typing import Any

import torch
from ignite.engine import Events
from monai.engines import SupervisedTrainer
from monai.inferers import sliding_window_inference
from monai.losses import DiceCELoss
from monai.metrics import compute_dice
from monai.networks.nets import UNet
from monai.networks.utils import one_hot
from monai.utils import set_determinism
from torch import nn

from benchmarks.segmentation_data import TASKS, SegmentationTask, load_split
from benchmarks.segmentation_methods import FEATURE_DIM, METHODS, Method
from monai_proto.data import TwoStreamDataLoader
from monai_proto.engines import SemiSupervisedTrainer
from monai_proto.handlers import EMATeacherHandler, EpochSeedHandler
from monai_proto.networks.nets import ProjectedSegmentationNet
from monai_proto.optimizers import selector_parameter_groups

__all__ = ["run"]

EPOCHS = 20
LEARNING_RATE = 1e-3
EMA_DECAY = 0.97  # a short memory suits runs of under a thousand steps


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
    split = load_split(task, None if method.all_labelled else num_labelled, seed)
    network = ProjectedSegmentationNet(
        UNet(3, 1, task.num_classes, (16, 32, 64, 128), (2, 2, 2), num_res_units=2), FEATURE_DIM
    ).to(memory_format=torch.channels_last_3d)
    teacher = copy.deepcopy(network)
    loader = TwoStreamDataLoader(split.labelled, split.unlabelled, 2, 2, num_batches=steps // EPOCHS, seed=seed)
    parts = method.trainer_parts(task.num_classes)
    optimizer = torch.optim.AdamW(
        selector_parameter_groups(network, parts.get("contrastive_loss"), LEARNING_RATE), weight_decay=1e-4
    )
    schedule = torch.optim.lr_scheduler.PolynomialLR(optimizer, total_iters=steps, power=0.9)
    handlers = [
        EpochSeedHandler(seed, loader, parts.get("copy_paste")),
        EMATeacherHandler(network, teacher, decay=EMA_DECAY),
    ]
    trainer = _trainer(method, parts, loader, network, teacher, optimizer, handlers)
    trainer.logger.setLevel("WARNING")
    trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda: schedule.step())
    curve: list[dict[str, Any]] = []

    @trainer.on(Events.EPOCH_COMPLETED(every=EPOCHS // 4))
    def _evaluate() -> None:
        curve.append({"step": trainer.state.iteration, "ema": _dice(teacher, split.validation, task)})

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
        "last_weights": _dice(network, split.validation, task),
        "seconds": round(time.perf_counter() - started, 1),
    }


def _trainer(method: Method, parts, loader, network, teacher, optimizer, handlers):
    loss = DiceCELoss(to_onehot_y=True, softmax=True, batch=True)
    if not method.unlabelled:
        return SupervisedTrainer(
            "cpu",
            EPOCHS,
            loader,
            network,
            optimizer,
            loss,
            prepare_batch=lambda batch, *_, **__: (batch["labelled"]["image"], batch["labelled"]["label"]),
            decollate=False,
            train_handlers=handlers,
        )
    return SemiSupervisedTrainer(
        "cpu",
        EPOCHS,
        loader,
        network,
        optimizer,
        supervised_loss=loss,
        teacher=teacher,
        ramp_up_epochs=0.4 * EPOCHS,
        decollate=False,
        train_handlers=handlers,
        **parts,
    )


@torch.no_grad()
def _dice(network: nn.Module, volumes: list[dict], task: SegmentationTask) -> list[float]:
    """Mean Dice of each class over whole volumes."""
    network.eval()
    scores = []
    for volume in volumes:
        logits = sliding_window_inference(volume["image"].unsqueeze(0), task.patch_size, 4, network, overlap=0.25)
        prediction = one_hot(logits.argmax(1, keepdim=True), task.num_classes)
        scores.append(compute_dice(prediction, one_hot(volume["label"].unsqueeze(0), task.num_classes)))
    return torch.cat(scores)[:, 1:].nanmean(0).tolist()
