"""The model that grows in the active learning benchmark: trained on from round to round, evaluated, kept."""

from __future__ import annotations

import copy
import tempfile
from pathlib import Path

import torch
from ignite.engine import Events
from monai.data import Dataset
from monai.inferers import SlidingWindowInferer
from monai.losses import DiceCELoss
from monai.metrics import compute_dice
from monai.networks.nets import UNet
from monai.networks.utils import one_hot
from monai.utils import set_determinism

from benchmarks.segmentation_data import SegmentationTask, augmentation
from benchmarks.segmentation_methods import FEATURE_DIM, METHODS
from benchmarks.segmentation_run import EMA_DECAY, LEARNING_RATE
from monai_proto.data import TwoStreamDataLoader
from monai_proto.data.atomic_write import new_file_atomically
from monai_proto.data.safe_file_name import safe_file_name
from monai_proto.engines import SemiSupervisedTrainer
from monai_proto.handlers import EMATeacherHandler, EpochSeedHandler
from monai_proto.handlers.named_checkpoint_loader import load_named_checkpoint
from monai_proto.networks.nets import ProjectedSegmentationNet
from monai_proto.optimizers import selector_parameter_groups

__all__ = ["DEVICE", "SimulatedModel", "case_dice", "train_first_round"]

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
EPOCHS = 10  # of a round: the ramp-up takes the first four


class SimulatedModel:
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
def case_dice(model: SimulatedModel, volumes: list[dict]) -> torch.Tensor:
    """Dice of each foreground class over whole volumes, (volumes, C - 1)."""
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
    return torch.cat(scores)[:, 1:]


def train_first_round(
    model: SimulatedModel,
    labelled: list[dict],
    unlabelled: list[dict],
    steps: int,
    seed: int,
    study: str,
    pool: float = 1.0,
) -> None:
    """
    Train with one label, or take what such a training left before: several strategies start with the same study. Seed
    and pool say which studies the unlabelled ones are. The model is kept in the system's temporary folder; remove it
    after changes of the training.
    """
    name = safe_file_name(f"{model.task.folder} {study} {seed} {steps} {pool:g}", suffix=".pt")
    file = Path(tempfile.gettempdir()) / "monai_proto_active_learning" / name
    if file.is_file():
        load_named_checkpoint(file, {"teacher": model.teacher, "bank": model.bank}, map_location=DEVICE)
        return
    model.train(labelled, unlabelled, steps, seed)
    file.parent.mkdir(exist_ok=True)
    with new_file_atomically(file) as stream:
        torch.save({"teacher": model.teacher.state_dict(), "bank": model.bank.state_dict()}, stream)
