"""One training run of the prototype benchmark."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Events
from monai.utils import set_determinism
from torch import nn
from torch.utils.data import DataLoader, Dataset, WeightedRandomSampler

from benchmarks.classification_data import (
    VIEWS,
    LesionImages,
    front_activations,
    frozen_front,
    load_lesion_images,
    normalized,
    trained_back,
)
from benchmarks.classification_methods import METHODS
from monai_proto.engines import ClassificationTrainer, EmbeddedBatches
from monai_proto.handlers import PrototypePushHandler, PrototypeStageHandler
from monai_proto.metrics import (
    area_under_generalized_risk_coverage,
    area_under_risk_coverage,
    occlusion_drops,
    selective_balanced_accuracy,
    strongest_patches,
    summarize_classification,
)
from monai_proto.networks.explanation import evidence_map
from monai_proto.networks.nets import PrototypeClassifier
from monai_proto.optimizers import backbone_parameter_groups

__all__ = ["run"]

CHANNELS = 1280
BATCH = 64
LEARNING_RATE = 1e-3
BACK_RATE = 3e-4
LAST_LAYER_EPOCHS = 3
LAST_LAYER_RATE = 0.01
LAST_LAYER_DECAY = 0.5
OCCLUDED_SHARE = 0.2
COVERAGE = 0.8
SAMPLING_POWER = 0.5


class _Views(Dataset):
    """Items of a random view of each image; view 0 is the image itself."""

    def __init__(self, activations: torch.Tensor, labels: torch.Tensor, ids: list[str], augmented: bool) -> None:
        self.activations, self.labels, self.ids, self.augmented = activations, labels, ids, augmented

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> dict[str, Any]:
        view = int(torch.randint(len(self.activations), ())) if self.augmented else 0
        image = self.activations[view, index].float()
        return {"image": image, "label": self.labels[index], "image_id": self.ids[index]}


class _PooledLinear(nn.Module):
    """The linear head: mean of the map, dropout, one layer."""

    def __init__(self, backbone: nn.Module, num_classes: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(CHANNELS, num_classes))
        self.stage = ""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.backbone(images).mean(dim=(2, 3)))

    def set_stage(self, stage: str) -> None:
        """For the handler of the prototype classifier's stages: the backbone trains in the joint stage alone."""
        self.stage = stage
        self.backbone.requires_grad_(stage == "joint")


def run(method_name: str, seed: int, epochs: int, cache: Path) -> dict[str, Any]:
    """
    Train once and evaluate on the test part; nothing is selected on it.

    All methods have the same backbone, of which the front is frozen, the same images in the same order (batches of 64,
    drawn with the square root of the classes' frequencies) and learning rates: one epoch with the whole backbone
    frozen, then joint training. Prototypes are then projected onto patches, and have three epochs of the last layer,
    without a gradient in the backbone; ``linear_stage`` has these three epochs too.

    Returns:
        configuration, figures before and after the projection and at the end, seconds.
    """
    torch.set_num_threads(1)
    method = METHODS[method_name]
    images = load_lesion_images(cache)
    views = front_activations(images.train_images, "train", cache, VIEWS)
    set_determinism(seed)
    counts = torch.bincount(images.train_labels, minlength=len(images.classes))
    back = trained_back()
    if method.head is None:
        network: nn.Module = _PooledLinear(back, len(images.classes))
        loss = None
    else:
        network = PrototypeClassifier(back, method.head(len(images.classes), CHANNELS))
        loss = method.loss(counts.tolist())
    sampler = WeightedRandomSampler(
        counts.float()[images.train_labels] ** -SAMPLING_POWER,
        len(views[0]),
        generator=torch.Generator().manual_seed(seed),
    )
    train_set = _Views(views, images.train_labels, images.train_ids, augmented=True)
    loader = DataLoader(train_set, BATCH, sampler=sampler, drop_last=True)
    push_loader = DataLoader(_Views(views, images.train_labels, images.train_ids, augmented=False), BATCH)
    last_epochs = LAST_LAYER_EPOCHS if method.last_layer_stage else 0
    groups = backbone_parameter_groups(network, loss, BACK_RATE)
    optimizer = torch.optim.AdamW(groups, lr=LEARNING_RATE, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        [group["lr"] for group in optimizer.param_groups],
        total_steps=epochs * len(loader) + 1,
        pct_start=0.2,
    )
    record: dict[str, Any] = {"method": method_name, "seed": seed, "epochs": epochs}
    stages = PrototypeStageHandler(network, 1, last_epochs, optimizer, LAST_LAYER_RATE, LAST_LAYER_DECAY)
    trainer = ClassificationTrainer(
        "cpu",
        epochs + last_epochs,
        loader,
        network,
        optimizer,
        prototype_loss=loss,
        decollate=False,
        train_handlers=[stages],
    )
    trainer.logger.setLevel("WARNING")
    joint = Events.ITERATION_COMPLETED(event_filter=lambda engine, _: engine.state.epoch <= epochs)
    trainer.add_event_handler(joint, lambda: schedule.step())
    if method.head is not None:
        push = PrototypePushHandler(network, push_loader, "cpu", start_epoch=epochs, projection_epoch=epochs)
        before = Events.EPOCH_COMPLETED(once=epochs)
        trainer.add_event_handler(before, lambda: record.update(before_projection=_figures(network, images, cache)))
        push.attach(trainer)
        trainer.add_event_handler(before, lambda: record.update(after_projection=_figures(network, images, cache)))
    started = time.perf_counter()
    trainer.run()
    record["seconds"] = round(time.perf_counter() - started, 1)
    record["final"] = _figures(network, images, cache)
    if method.head is not None:
        record["provenance_error"] = _provenance_error(network, push_loader)
        record["faithfulness"] = _faithfulness(network, images, seed)
    return record


@torch.no_grad()
def _figures(network: nn.Module, images: LesionImages, cache: Path) -> dict[str, float]:
    """Figures on the test part."""
    activations = front_activations(images.test_images, "test", cache)[0]
    training = network.training
    network.eval()
    logits, uncertainty, agreement = [], [], []
    for batch in activations.split(256):
        if isinstance(network, PrototypeClassifier):
            output = network(batch.float(), full_output=True)
            logits.append(output.logits)
            uncertainty.append(output.uncertainty)
            agreement.append(_agreement(network, output))
        else:
            logits.append(network(batch.float()))
            uncertainty.append(1 - logits[-1].softmax(dim=1).amax(dim=1))
    network.train(training)
    scores, unsure = torch.cat(logits), torch.cat(uncertainty)
    probabilities = scores.softmax(dim=1)
    answers, labels = probabilities.argmax(dim=1), images.test_labels
    summary = summarize_classification(probabilities, labels)
    selective = selective_balanced_accuracy(answers, labels, unsure, len(images.classes), COVERAGE)
    entropy = torch.distributions.Categorical(probs=probabilities).entropy()
    # training saw a class as often as its frequency to the power of 1 - SAMPLING_POWER says; without that
    frequencies = torch.bincount(images.train_labels, minlength=len(images.classes)) / len(images.train_labels)
    equal_priors = (scores - (1 - SAMPLING_POWER) * frequencies.log()).softmax(dim=1)
    figures = {
        "balanced_accuracy": summary.balanced_accuracy,
        "balanced_accuracy_equal_priors": summarize_classification(equal_priors, labels).balanced_accuracy,
        "accuracy": summary.accuracy,
        "macro_auroc": summary.macro_auroc,
        "ece": summary.expected_calibration_error,
        "aurc": area_under_risk_coverage(unsure, answers != labels),
        "augrc": area_under_generalized_risk_coverage(unsure, answers != labels),
        "aurc_entropy": area_under_risk_coverage(entropy, answers != labels),
        "balanced_accuracy_at_80": selective.value,
        "classes_lost_at_80": len(selective.vanished_classes),
    }
    if agreement:
        figures["agreement"] = float(torch.cat(agreement).float().mean())
    return {name: round(float(value), 5) for name, value in figures.items()}


def _agreement(network: PrototypeClassifier, output) -> torch.Tensor:
    """Whether the prototype that adds most to the answer's logit is one of the answer's class."""
    answers = output.logits.argmax(dim=1)
    contributions = network.head.contributions(output)[torch.arange(len(answers)), answers]
    return output.prototype_labels[contributions.argmax(dim=1)] == answers


@torch.no_grad()
def _provenance_error(network: PrototypeClassifier, loader: DataLoader) -> float:
    """Largest difference of a recorded distance from the one computed again from the stored image and patch."""
    bank = network.head.bank
    places = {}
    for slot in bank.valid_slots.tolist():
        source = bank.provenance.read(slot)
        if source is None:
            return float("inf")
        places.setdefault(source.image_id, []).append((slot, source))
    worst = 0.0
    for patches, _, ids in EmbeddedBatches(network, loader, "cpu"):
        for row, image_id in enumerate(ids):
            for slot, source in places.get(image_id, ()):
                prototype = bank.valid_prototypes()[bank.valid_slots == slot][0]
                distance = float((patches[row, source.patch_index] - prototype).norm())
                worst = max(worst, abs(distance - source.distance))
    return worst


def _faithfulness(network: PrototypeClassifier, images: LesionImages, seed: int) -> dict[str, float]:
    """Mean fall of the answer's logit over the test part: explained region hidden, and another of the same shape."""
    whole = PrototypeClassifier(nn.Sequential(frozen_front(), network.backbone), network.head).eval()
    generator = torch.Generator().manual_seed(seed)
    here, there = [], []
    for batch in images.test_images.split(128):
        pixels = normalized(batch)
        with torch.no_grad():
            output, grid = whole(pixels, full_output=True), whole.embed(pixels[:1]).grid
        region = strongest_patches(evidence_map(whole.head, output), OCCLUDED_SHARE)
        explained, other = occlusion_drops(whole, pixels, region, grid, generator)
        here.append(explained)
        there.append(other)
    explained, other = torch.cat(here), torch.cat(there)
    return {
        "explained_region": round(float(explained.mean()), 4),
        "random_region": round(float(other.mean()), 4),
        "share_of_images": round(float((explained > other).float().mean()), 4),
    }
