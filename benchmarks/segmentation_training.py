"""The training and the evaluation that the segmentation benchmarks share."""

from __future__ import annotations

from functools import partial

import torch
from ignite.engine import Events
from monai.data import Dataset
from monai.engines import SupervisedTrainer, Trainer
from monai.inferers import SlidingWindowInferer
from monai.metrics import compute_dice
from monai.networks.nets import UNet
from monai.networks.utils import one_hot
from torch import nn

from benchmarks.segmentation_data import SegmentationTask
from benchmarks.segmentation_methods import FEATURE_DIM, Method, Problem, supervised_loss
from monai_proto.data import TwoStreamDataLoader
from monai_proto.engines import SemiSupervisedTrainer
from monai_proto.handlers import EMATeacherHandler, EpochSeedHandler
from monai_proto.losses.terms import WeightedTerms
from monai_proto.machine import autocast_dtype, autocast_pays
from monai_proto.networks.nets import ProjectedSegmentationNet
from monai_proto.optimizers import term_parameter_groups

__all__ = ["case_dice", "make_network", "make_terms", "make_trainer", "window_inferer"]

LEARNING_RATE = 1e-3
EMA_DECAY = 0.97  # a short memory suits runs of under a thousand steps


def make_network(task: SegmentationTask) -> ProjectedSegmentationNet:
    """The network of all methods, with new weights."""
    unet = UNet(3, 1, task.num_classes, (16, 32, 64, 128), (2, 2, 2), num_res_units=2)
    return ProjectedSegmentationNet(unet, FEATURE_DIM).to(memory_format=torch.channels_last_3d)


def make_terms(method: Method, task: SegmentationTask) -> WeightedTerms:
    """The terms of a method, with new weights where they have any."""
    return WeightedTerms(method.terms(Problem(task.num_classes, partial(make_network, task))))


def make_trainer(
    method: Method,
    task: SegmentationTask,
    labelled: Dataset,
    unlabelled: Dataset,
    network: nn.Module,
    teacher: nn.Module,
    steps: int,
    epochs: int,
    seed: int,
    device: str = "cpu",
    amp: bool = False,
) -> Trainer:
    """
    A training with batches of 2 labelled and 2 unlabelled patches, AdamW and a learning rate that falls to zero.

    Every method sees the same labelled patches in the same order. ``teacher`` follows ``network`` as the moving average
    of its weights, for methods without a teacher, too: it is what is evaluated. The ramp-up of the terms for unlabelled
    images takes the first 40% of the epochs.
    """
    loader = TwoStreamDataLoader(labelled, unlabelled, 2, 2, num_batches=steps // epochs, seed=seed)
    terms = make_terms(method, task).to(device)
    optimizer = torch.optim.AdamW(term_parameter_groups(network, terms, LEARNING_RATE), weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.PolynomialLR(optimizer, total_iters=steps, power=0.9)
    common = {
        "device": device,
        "max_epochs": epochs,
        "train_data_loader": loader,
        "network": network,
        "optimizer": optimizer,
        "decollate": False,
        "amp": autocast_pays(device, amp),
        "train_handlers": [
            EpochSeedHandler(seed, loader, terms.views),
            EMATeacherHandler(network, teacher, decay=EMA_DECAY),
        ],
    }
    if method.unlabelled:
        trainer: Trainer = SemiSupervisedTrainer(
            **common, terms=terms, teacher=teacher, ramp_up_epochs=0.4 * epochs, **method.options
        )
    else:
        trainer = SupervisedTrainer(
            **common,
            loss_function=supervised_loss(),
            prepare_batch=lambda batch, device, *_, **__: tuple(
                batch["labelled"][key].to(device) for key in ("image", "label")
            ),
        )
    trainer.logger.setLevel("WARNING")
    trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda: schedule.step())
    return trainer


def window_inferer(task: SegmentationTask) -> SlidingWindowInferer:
    """Windows of the size of training patches."""
    return SlidingWindowInferer(task.patch_size, sw_batch_size=4, overlap=0.25)


@torch.no_grad()
def case_dice(
    network: nn.Module, volumes: list[dict], task: SegmentationTask, device: str = "cpu", amp: bool = False
) -> torch.Tensor:
    """Dice of each foreground class over whole volumes, (volumes, C - 1)."""
    network.eval()
    inferer, half = window_inferer(task), autocast_pays(device, amp)
    scores = []
    for volume in volumes:
        with torch.autocast(device, autocast_dtype(device), enabled=half):
            logits = inferer(volume["image"].unsqueeze(0).to(device), lambda images: network(images).float())
        prediction = one_hot(logits.argmax(1, keepdim=True).cpu(), task.num_classes)
        scores.append(compute_dice(prediction, one_hot(volume["label"].unsqueeze(0), task.num_classes)))
    return torch.cat(scores)[:, 1:]
