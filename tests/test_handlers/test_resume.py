from __future__ import annotations

import copy

import pytest
import torch
from ignite.engine import Events
from monai.data import Dataset
from monai.handlers import LrScheduleHandler
from monai.networks.nets import UNet
from monai.transforms import RandGaussianNoised

from monai_proto.data import TwoStreamDataLoader
from monai_proto.engines import SemiSupervisedTrainer
from monai_proto.handlers import EMATeacherHandler, EpochSeedHandler, ResumeHandler
from monai_proto.losses import MemoryBankContrastiveLoss
from monai_proto.losses.terms import (
    CompactnessTerm,
    ContrastiveTerm,
    CopyPasteTerm,
    CrossPseudoTerm,
    LabelledVoxelBank,
    MixedView,
    PrototypeClassifierTerm,
    SupervisedTerm,
    WeightedTerms,
)
from monai_proto.networks.blocks import ClassMemoryBank
from monai_proto.networks.nets import ProjectedSegmentationNet
from monai_proto.optimizers import term_parameter_groups
from monai_proto.transforms import RandBidirectionalCopyPaste


def build(folder, max_epochs: int, resume: bool, classes: int = 2, initial_seed: int = 0, stop_at: int | None = None):
    """
    A trainer with random augmentation, copy-paste, teacher, and terms that own a bank, prototypes, parameters and a
    whole network; and the objects that it changes.
    """
    torch.manual_seed(initial_seed)
    data = torch.Generator().manual_seed(7)
    images = torch.randn(8, 1, 16, 16, generator=data)
    noise = RandGaussianNoised("image", prob=0.7, std=0.5)
    labelled = Dataset([{"image": i, "label": (i > 0).long()} for i in images[:3]], noise)
    loader = TwoStreamDataLoader(labelled, Dataset([{"image": i} for i in images[3:]], noise), 2, 2, num_batches=3)
    network, second = (
        ProjectedSegmentationNet(UNet(2, 1, classes, (4, 8), (2,), num_res_units=1, dropout=0.2), 6) for _ in range(2)
    )
    teacher = copy.deepcopy(network)
    bank = ClassMemoryBank(classes, 6, 4, selection="random")
    memory = LabelledVoxelBank(bank, MemoryBankContrastiveLoss(classes, 6, use_learned_selector=True))
    copy_paste = RandBidirectionalCopyPaste()
    mixed = MixedView(copy_paste)
    terms = WeightedTerms(
        [
            SupervisedTerm(),
            CopyPasteTerm(mixed),
            ContrastiveTerm(memory, mixed),
            CompactnessTerm(memory),
            CrossPseudoTerm(second),
            PrototypeClassifierTerm(classes, 6, 2, view=mixed),
        ]
    )
    optimizer = torch.optim.AdamW(term_parameter_groups(network, terms, 1e-2))
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)
    state = {
        "network": network,
        "teacher": teacher,
        "terms": terms,
        "optimizer": optimizer,
        "schedule": schedule,
    }
    trainer = SemiSupervisedTrainer(
        "cpu",
        max_epochs,
        loader,
        network,
        optimizer,
        terms,
        teacher=teacher,
        train_handlers=[
            ResumeHandler(str(folder), state, resume=resume),
            EpochSeedHandler(3, loader, copy_paste),
            EMATeacherHandler(network, teacher, 0.9),
            LrScheduleHandler(schedule, print_lr=False),
        ],
    )
    if stop_at is not None:

        @trainer.on(Events.ITERATION_STARTED)
        def _stop() -> None:
            if trainer.state.iteration == stop_at:
                raise KeyboardInterrupt

    return trainer, state


def tensors(state) -> dict[str, torch.Tensor]:
    modules = {name: part for name, part in state.items() if isinstance(part, torch.nn.Module)}
    return {f"{name}.{k}": v.clone() for name, part in modules.items() for k, v in part.state_dict().items()}


@pytest.mark.parametrize("stop_at", [1, 5, 7])
def test_a_stopped_run_goes_on_bit_for_bit(tmp_path, stop_at):
    whole, expected = build(tmp_path / "whole", 4, resume=False)
    whole.run()

    stopped, _ = build(tmp_path / "stopped", 4, resume=False, stop_at=stop_at)
    with pytest.raises(KeyboardInterrupt):
        stopped.run()
    resumed, state = build(tmp_path / "stopped", 4, resume=True, initial_seed=99)
    torch.manual_seed(12345)  # nothing may depend on the state that the process happens to be in
    resumed.run()

    assert resumed.state.epoch == 4
    assert {name.split(".")[1] for name in tensors(expected) if name.startswith("terms.")} == {
        "contrastive",
        "compactness",
        "cross_pseudo",
        "prototype_classifier",
    }
    assert resumed.state.iteration == whole.state.iteration
    for name, value in tensors(expected).items():
        assert torch.equal(value, tensors(state)[name]), name


def test_a_finished_run_can_be_prolonged(tmp_path):
    build(tmp_path, 2, resume=False)[0].run()
    trainer, _ = build(tmp_path, 3, resume=True)
    trainer.run()
    assert trainer.state.epoch == 3


def test_checkpoint_holds_no_pickled_objects(tmp_path):
    build(tmp_path, 1, resume=False)[0].run()
    checkpoint = torch.load(tmp_path / "last.pt", weights_only=True)
    assert {"network", "teacher", "terms", "optimizer", "schedule", "trainer"} == set(checkpoint)
    assert checkpoint["terms"]["contrastive.memory.bank.rows"].abs().sum() > 0
    assert checkpoint["terms"]["prototype_classifier.moved"].any()


def test_missing_checkpoint_is_named(tmp_path):
    trainer, _ = build(tmp_path, 1, resume=True)
    with pytest.raises(ValueError, match=r"last\.pt does not exist"):
        trainer.run()


def test_checkpoint_of_another_class_count_is_named(tmp_path):
    build(tmp_path, 1, resume=False)[0].run()
    trainer, _ = build(tmp_path, 1, resume=True, classes=3)
    with pytest.raises(ValueError, match=r"(?s)last\.pt does not fit.*size mismatch"):
        trainer.run()


def test_file_that_is_no_checkpoint_is_named(tmp_path):
    (tmp_path / "last.pt").write_bytes(b"not a checkpoint")
    trainer, _ = build(tmp_path, 1, resume=True)
    with pytest.raises(ValueError, match=r"last\.pt does not fit"):
        trainer.run()
