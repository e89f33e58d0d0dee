"""The model that grows in the active learning benchmark: trained on from round to round, evaluated, kept."""

from __future__ import annotations

import copy
import tempfile
from pathlib import Path

import torch
from monai.data import Dataset
from monai.utils import set_determinism
from torch import nn

from benchmarks import segmentation_training
from benchmarks.segmentation_data import SegmentationTask, augmentation
from benchmarks.segmentation_methods import METHODS
from monai_proto.data.atomic_write import new_file_atomically
from monai_proto.data.picture_files import safe_file_name
from monai_proto.engines import SemiSupervisedTrainer
from monai_proto.handlers.named_checkpoint_loader import load_named_checkpoint
from monai_proto.losses.terms import WeightedTerms
from monai_proto.networks.blocks import ClassMemoryBank
from monai_proto.networks.freezing import thaw

__all__ = ["DEVICE", "SimulatedModel", "train_first_round"]

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
EPOCHS = 10  # of a round: the ramp-up takes the first four


class SimulatedModel:
    """
    What a training leaves: the averaged weights and the bank.

    Args:
        task: which data.
        method: name of the training method, see ``segmentation_methods``.
    """

    def __init__(self, task: SegmentationTask, method: str = "ours") -> None:
        self.task = task
        self.method = method
        self.teacher = segmentation_training.make_network(task).to(DEVICE)
        self.bank = _bank_of(segmentation_training.make_terms(METHODS[method], task).to(DEVICE))
        self.inferer = segmentation_training.window_inferer(task)

    def train(self, labelled: list[dict], unlabelled: list[dict], steps: int, seed: int) -> None:
        """A training from the weights that are there; a function of them, the volumes and the seed alone."""
        set_determinism(seed)
        network = copy.deepcopy(self.teacher)
        thaw(network)
        trainer = segmentation_training.make_trainer(
            METHODS[self.method],
            self.task,
            Dataset(labelled, augmentation(self.task, ("image", "label"))),
            Dataset(unlabelled, augmentation(self.task, ("image",))),
            network,
            self.teacher,
            steps,
            EPOCHS,
            seed,
            DEVICE,
            amp=True,
        )
        trainer.run()
        self.bank = _bank_of(trainer.terms) if isinstance(trainer, SemiSupervisedTrainer) else None

    def parts(self) -> dict[str, nn.Module]:
        """What is kept in a checkpoint."""
        return {"teacher": self.teacher, **({} if self.bank is None else {"bank": self.bank})}

    def case_dice(self, volumes: list[dict]) -> torch.Tensor:
        """Dice of each foreground class over whole volumes, (volumes, C - 1)."""
        return segmentation_training.case_dice(self.teacher, volumes, self.task, DEVICE, amp=True)


def _bank_of(terms: WeightedTerms) -> ClassMemoryBank | None:
    return next((module for module in terms.modules() if isinstance(module, ClassMemoryBank)), None)


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
    name = safe_file_name(f"{model.task.folder} {model.method} {study} {seed} {steps} {pool:g}", suffix=".pt")
    file = Path(tempfile.gettempdir()) / "monai_proto_active_learning" / name
    if file.is_file():
        load_named_checkpoint(file, model.parts(), map_location=DEVICE)
        return
    model.train(labelled, unlabelled, steps, seed)
    file.parent.mkdir(exist_ok=True)
    with new_file_atomically(file) as stream:
        torch.save({key: part.state_dict() for key, part in model.parts().items()}, stream)
