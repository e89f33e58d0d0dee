"""One run of the benchmark of promptable segmentation: adapt, then segment images of the same and of other domains."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pooch
import torch
from ignite.engine import Events
from monai.data import DataLoader, Dataset
from monai.metrics import compute_dice, compute_iou
from monai.transforms import PadListDataCollate
from monai.utils import Method as PadMethod
from monai.utils import set_determinism
from torch import nn
from torch.utils.data import RandomSampler

from benchmarks.promptable_data import DOMAINS, load_objects
from benchmarks.promptable_methods import METHODS
from monai_proto.data import PrefixCache
from monai_proto.engines import WeakSamTrainer
from monai_proto.handlers import EMATeacherHandler
from monai_proto.machine import autocast, autocast_dtype, autocast_pays
from monai_proto.networks.nets import AdaptableSegmenter
from monai_proto.transforms import PromptsFromBoxesd

__all__ = ["EVALUATED_PROMPTS", "run", "score_objects"]

EVALUATED_PROMPTS = ("big_box", "ring_points")
BATCH = 1  # in the time of a benchmark many small steps do best
OTHER_IMAGES = 16
EMA_DECAY = 0.999
HEAD_LEARNING_RATE = 1e-3


class HalfPrecision(nn.Module):
    """
    A module in bfloat16, whatever the caller's precision, where the CPU has it: a frozen prefix takes half the time,
    the same for all.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        with autocast("cpu"):
            return self.module(images)


def run(
    domain: str,
    method_name: str,
    trainable_blocks: int,
    images: int,
    steps: int,
    seed: int,
    test_images: int,
    learning_rate: float = 1e-4,
    after_training: Callable[[AdaptableSegmenter], None] | None = None,
) -> dict[str, Any]:
    """
    Adapt LiteMedSAM to a domain and score it there and on the domains that it did not see.

    The seed draws the training images and their order, which are the same for all methods; the test images are the
    same for all seeds. The last step counts.

    Args:
        domain, method_name: of ``DOMAINS`` and ``METHODS``.
        trainable_blocks: k.
        images: training images.
        steps: optimiser steps of ``BATCH`` images.
        seed: of the run.
        test_images: of the domain; of each other one ``OTHER_IMAGES`` at the most.
        learning_rate: of the encoder.
        after_training: called with the adapted network.

    Returns:
        configuration; ``scores`` domain -> prompt -> mean IoU and Dice; ``losses`` by epoch; seconds.
    """
    torch.set_num_threads(1)
    method = METHODS[method_name]
    started = time.perf_counter()
    set_determinism(seed)
    network = AdaptableSegmenter("lite_medsam", trainable_blocks)
    segmenter = network.segmenter
    folder = Path(os.environ.get("MONAI_PROTO_CACHE") or pooch.os_cache("monai_proto")) / "prefix"
    cache = PrefixCache(folder, HalfPrecision(network.prefix), segmenter.preprocess, segmenter.preprocessing)
    log: list[dict[str, float]] = []
    if method.loss is not None:
        objects = load_objects(domain, "train", images, seed)
        if method.loss.get("supervision") != "mask":
            objects = [{key: value for key, value in item.items() if key != "mask"} for item in objects]
        _train(network, method_name, objects, steps, seed, learning_rate, cache, log)
    seconds = time.perf_counter() - started
    if after_training is not None:
        after_training(network)
    others = [other for other in DOMAINS if other != domain]
    return {
        "domain": domain,
        "method": method_name,
        "trainable_blocks": trainable_blocks,
        "images": images,
        "steps": steps,
        "seed": seed,
        "test_images": test_images,
        "learning_rate": learning_rate,
        "batch": BATCH,
        "scores": {
            name: score_objects(
                network, cache, load_objects(name, "test", test_images if name == domain else OTHER_IMAGES)
            )
            for name in [domain, *others]
        },
        "losses": log,
        "seconds": round(seconds, 1),
    }


def _train(network, method_name, objects, steps, seed, learning_rate, cache, log) -> None:
    method = METHODS[method_name]
    epochs = 5
    data = Dataset(objects)
    sampler = RandomSampler(
        data, replacement=False, num_samples=BATCH * (steps // epochs), generator=torch.Generator().manual_seed(seed)
    )
    loader = DataLoader(data, batch_size=BATCH, sampler=sampler, collate_fn=PadListDataCollate(method=PadMethod.END))
    student = network.student
    teacher = network.copy_student()
    reference = network.copy_student().suffix
    optimizer = torch.optim.AdamW(
        [
            {"params": student.suffix.parameters(), "lr": learning_rate},
            {"params": student.proj.parameters(), "lr": HEAD_LEARNING_RATE},
        ],
        weight_decay=0.01,
    )
    schedule = torch.optim.lr_scheduler.PolynomialLR(optimizer, total_iters=steps, power=0.9)
    trainer = WeakSamTrainer(
        "cpu",
        epochs,
        loader,
        network,
        teacher,
        optimizer,
        reference=PrefixCache(cache.folder, HalfPrecision(reference)),
        prefix_cache=cache,
        amp=autocast_pays("cpu"),
        amp_kwargs={"dtype": autocast_dtype("cpu")},
        train_handlers=[EMATeacherHandler(student, teacher, EMA_DECAY, warm_up=False)],
        **method.trainer_parts(),
    )
    trainer.logger.setLevel("WARNING")
    sums: dict[str, float] = {}

    @trainer.on(Events.ITERATION_COMPLETED)
    def _note() -> None:
        schedule.step()
        for name, value in trainer.state.output.items():
            sums[str(name)] = sums.get(str(name), 0.0) + float(value) / trainer.state.epoch_length

    @trainer.on(Events.EPOCH_COMPLETED)
    def _keep() -> None:
        log.append({name: round(value, 4) for name, value in sums.items()})
        sums.clear()

    trainer.run()


@torch.no_grad()
def score_objects(
    network: AdaptableSegmenter, cache: PrefixCache, objects: list[dict[str, Any]]
) -> dict[str, dict[str, float]]:
    """Mean IoU and Dice of masks on the images' own grid, by prompt."""
    network.eval()
    scores: dict[str, list[torch.Tensor]] = {prompt: [] for prompt in EVALUATED_PROMPTS}
    for item in objects:
        size = tuple(item["image"].shape[-2:])
        with autocast("cpu"):
            embedding = network.student.suffix(cache(item["image"][None]))
        for prompt in EVALUATED_PROMPTS:
            asked = PromptsFromBoxesd(prompt)(item)
            given = {
                name: asked[f"prompt_{name}"][None]
                for name in ("boxes", "points", "labels")
                if f"prompt_{name}" in asked
            }
            with autocast("cpu"):
                mask = network.segment(embedding, size, **given) > 0
            truth = item["mask"][None]
            scores[prompt].append(torch.stack([compute_iou(mask, truth)[0, 0], compute_dice(mask, truth)[0, 0]]))
    means = {prompt: torch.stack(values).mean(0).tolist() for prompt, values in scores.items()}
    return {prompt: {"iou": round(iou, 4), "dice": round(dice, 4)} for prompt, (iou, dice) in means.items()}
