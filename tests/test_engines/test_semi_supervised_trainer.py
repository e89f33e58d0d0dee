from __future__ import annotations

import copy

import pytest
import torch
from ignite.engine import Events
from monai.data import Dataset
from monai.handlers import TensorBoardStatsHandler
from monai.networks.nets import UNet
from torch import nn

from monai_proto.data import TwoStreamDataLoader
from monai_proto.engines import SemiSupervisedTrainer
from monai_proto.handlers import EMATeacherHandler, loss_components
from monai_proto.losses import MemoryBankContrastiveLoss
from monai_proto.losses.terms import (
    UNLABELLED,
    CompactnessTerm,
    ConsistencyTerm,
    ContrastiveTerm,
    CopyPasteTerm,
    LabelledVoxelBank,
    MixedView,
    SemiSupervisedStep,
    SeparationTerm,
    SupervisedTerm,
    Term,
    VATTerm,
    View,
    WeightedTerms,
)
from monai_proto.networks.blocks import ClassMemoryBank
from monai_proto.networks.nets import ProjectedSegmentationNet
from monai_proto.optimizers import term_parameter_groups
from monai_proto.transforms import RandBidirectionalCopyPaste

CLASSES = 3
DIM = 8


def stripes(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Images (count, 1, 16, 16) whose classes are three noisy grey levels, and their labels."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, CLASSES, (count, 1, 4, 4), generator=generator)
    labels = labels.repeat_interleave(4, dim=2).repeat_interleave(4, dim=3)
    return labels + 0.2 * torch.randn(labels.shape, generator=generator), labels


def make_loader(num_batches: int = 4) -> TwoStreamDataLoader:
    images, labels = stripes(3, seed=0)
    labelled = Dataset([{"image": i, "label": j} for i, j in zip(images, labels, strict=True)])
    unlabelled = Dataset([{"image": i} for i in stripes(6, seed=1)[0]])
    return TwoStreamDataLoader(labelled, unlabelled, 2, 2, num_batches=num_batches)


def make_network(seed: int = 0) -> ProjectedSegmentationNet:
    torch.manual_seed(seed)
    return ProjectedSegmentationNet(UNet(2, 1, CLASSES, (8, 16), (2,), num_res_units=1), DIM)


def make_trainer(
    terms: list[Term] | None = None, network=None, max_epochs=1, num_batches=4, loader=None, **options
) -> SemiSupervisedTrainer:
    network = network or make_network()
    terms = [SupervisedTerm()] if terms is None else terms
    if "teacher" not in options:
        options.setdefault("pseudo_label_source", "student")
    optimizer = torch.optim.Adam(term_parameter_groups(network, terms, 1e-2))
    loader = loader or make_loader(num_batches)
    return SemiSupervisedTrainer("cpu", max_epochs, loader, network, optimizer, terms, **options)


def bank_terms(view: View = UNLABELLED, learned: bool = True, background: bool = False) -> list[Term]:
    memory = LabelledVoxelBank(
        ClassMemoryBank(CLASSES, DIM, rows_per_class=4),
        MemoryBankContrastiveLoss(CLASSES, DIM, use_learned_selector=learned),
        background,
    )
    return [ContrastiveTerm(memory, view), CompactnessTerm(memory), SeparationTerm(memory)]


def bank_of(terms: list[Term]) -> ClassMemoryBank:
    return terms[-1].memory.bank


def test_every_term_is_in_the_output_and_the_total_is_their_weighted_sum():
    contrastive, *others = bank_terms()
    contrastive.weight = 0.3
    terms = [SupervisedTerm(), contrastive, *others, ConsistencyTerm(), VATTerm()]
    trainer = make_trainer(terms, ramp_up_epochs=2, decollate=False)
    trainer.run()
    output = trainer.state.output
    names = {"supervised", "contrastive", "compactness", "separation", "consistency", "vat"}
    assert {f"loss_{name}" for name in names} | {"loss"} == {k for k in output if k.startswith("loss")}
    weights = {"contrastive": 0.3, "compactness": 0.1, "consistency": 1.0, "vat": 1.0}
    expected = output["loss_supervised"] + output["ramp"] * sum(w * output[f"loss_{n}"] for n, w in weights.items())
    assert output["loss"].item() == pytest.approx(expected.item(), rel=1e-6)
    assert output["loss_separation"] > 0
    assert output["pred"].shape == (2, CLASSES, 16, 16)
    assert all(not value.requires_grad for value in output.values())


def test_a_monitored_term_moves_nothing():
    """Weight 0: recorded, and the weights go the same way as without it."""
    networks = []
    for monitored in ([], [VATTerm(weight=0.0)]):
        network = make_network()
        trainer = make_trainer([SupervisedTerm(), ConsistencyTerm(), *monitored], network, decollate=False)
        torch.manual_seed(0)
        trainer.run()
        networks.append(network.state_dict())
        assert ("loss_vat" in trainer.state.output) is bool(monitored)
    for name, value in networks[0].items():
        torch.testing.assert_close(networks[1][name], value, rtol=0, atol=0)


def test_ramp_follows_the_iteration():
    trainer = make_trainer(ramp_up_epochs=2.0, max_epochs=3, decollate=False)
    ramps = []
    trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda: ramps.append(float(trainer.state.output["ramp"])))
    trainer.run()
    expected = [torch.exp(torch.tensor(-5.0 * (1 - min(i / 4 / 2, 1)) ** 2)).item() for i in range(12)]
    assert ramps == pytest.approx(expected)


def test_learns_with_everything_on():
    network = make_network()
    teacher = copy.deepcopy(network)
    mixed = MixedView(RandBidirectionalCopyPaste())
    trainer = make_trainer(
        [SupervisedTerm(), CopyPasteTerm(mixed), *bank_terms(mixed)],
        network,
        max_epochs=15,
        teacher=teacher,
        train_handlers=[EMATeacherHandler(network, teacher, 0.9)],
    )
    images, labels = stripes(8, seed=5)

    def accuracy() -> float:
        with torch.no_grad():
            return (teacher.eval()(images).argmax(1, keepdim=True) == labels).float().mean().item()

    before = accuracy()
    trainer.run()
    assert before < 0.6
    assert accuracy() > 0.9


class PredictsOne(nn.Module):
    """An output layer that finds class 1 everywhere."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        logits = features.new_zeros(features.shape[0], CLASSES, 16, 16)
        logits[:, 1] = 5.0
        return logits + 0 * features.sum()


def test_bank_holds_projections_of_correctly_predicted_labelled_voxels():
    network = make_network()
    network.output_layer = PredictsOne()
    projected = []
    network.projection_head.register_forward_hook(lambda *args: projected.append(args[-1].detach()))
    terms = bank_terms(learned=False)
    trainer = make_trainer([SupervisedTerm(), *terms], network, num_batches=1)
    labels = []
    trainer.add_event_handler(
        Events.ITERATION_COMPLETED, lambda: labels.extend(item["label"] for item in trainer.state.output)
    )
    trainer.run()
    bank = bank_of(terms)
    assert bank.counts.tolist() == [0, 4, 0]
    # the first K projections at grid cells whose label is 1 (the grid is half the image's, a cell's middle counts)
    grid_labels = torch.stack(labels)[:, 0, 1::2, 1::2].reshape(-1)
    rows = projected[0][:2].movedim(1, -1).reshape(-1, DIM)[grid_labels == 1]
    torch.testing.assert_close(bank.rows[1], rows[:4])


def test_background_enters_the_bank_only_when_asked():
    for asked in (False, True):
        terms = bank_terms(learned=False, background=asked)
        make_trainer([SupervisedTerm(), *terms], max_epochs=6).run()
        bank = bank_of(terms)
        assert bool(bank.counts[0] > 0) is asked
        assert bank.counts[1:].min() > 0


def test_selectors_train_at_a_tenth_of_the_rate_and_the_network_at_all():
    terms = bank_terms()
    trainer = make_trainer([SupervisedTerm(), *terms], max_epochs=4)
    assert [group["lr"] for group in trainer.optimizer.param_groups] == [1e-2, pytest.approx(1e-3)]
    selectors = terms[0].memory.loss
    before = copy.deepcopy(selectors.state_dict())
    trainer.run()
    moved = [k for k, v in selectors.state_dict().items() if not torch.equal(v, before[k])]
    assert any(k.startswith("feature_selectors.1") for k in moved)


class Seen(Term):
    """Counts its calls in a buffer, shifts by a parameter of its own, and looks at all that a step has."""

    def __init__(self, view: View = UNLABELLED) -> None:
        super().__init__("seen", weight=0.5, views=[view])
        self.view = view
        self.register_buffer("calls", torch.zeros((), dtype=torch.long))
        self.shift = nn.Parameter(torch.zeros(()))

    def forward(self, step: SemiSupervisedStep) -> torch.Tensor:
        self.calls += 1
        return (step.student(self.view).logits.mean() - self.shift).square()


def test_a_term_of_a_users_own_needs_no_change_of_the_trainer():
    term = Seen()
    trainer = make_trainer([SupervisedTerm(), term], max_epochs=2, decollate=False)
    trainer.run()
    assert term.calls == 8
    assert term.shift != 0
    assert trainer.state.output["loss_seen"] >= 0
    assert set(trainer.terms.state_dict()) == {"seen.calls", "seen.shift"}


def test_the_student_sees_all_images_in_one_pass_and_the_teacher_is_asked_once():
    network = make_network()
    teacher = copy.deepcopy(network)
    passes: dict[str, list[int]] = {"student": [], "teacher": []}
    network.register_forward_pre_hook(lambda _, args: passes["student"].append(len(args[0])))
    teacher.register_forward_pre_hook(lambda _, args: passes["teacher"].append(len(args[0])))
    mixed = MixedView(RandBidirectionalCopyPaste())
    terms = [SupervisedTerm(), CopyPasteTerm(mixed), *bank_terms(mixed), ConsistencyTerm(), Seen()]
    make_trainer(terms, network, num_batches=2, teacher=teacher).run()
    # two labelled, two mixed and two unlabelled images
    assert passes == {"student": [6, 6], "teacher": [2, 2]}


def test_strong_view_is_seen_by_the_student_only():
    seen: dict[str, list[torch.Tensor]] = {"student": [], "teacher": []}
    network = make_network()
    teacher = copy.deepcopy(network)
    network.register_forward_pre_hook(lambda _, args: seen["student"].append(args[0]))
    teacher.register_forward_pre_hook(lambda _, args: seen["teacher"].append(args[0]))
    trainer = make_trainer([SupervisedTerm(), ConsistencyTerm()], network, teacher=teacher, num_batches=1)
    for item in trainer.data_loader.dataset.datasets[1].data:
        item["image_strong"] = item["image"] + 100
    trainer.run()
    assert seen["student"][0][2:].min() > 50
    assert seen["teacher"][0].max() < 50


def test_loss_components_reach_tensorboard(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    handler = TensorBoardStatsHandler(log_dir=str(tmp_path), output_transform=loss_components)
    make_trainer([SupervisedTerm(), *bank_terms()], train_handlers=[handler]).run()
    handler.close()
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert {"loss_supervised", "loss_contrastive", "loss_compactness"} <= {
        tag.split("/")[-1] for tag in events.Tags()["scalars"]
    }


def test_loss_components_reach_mlflow(tmp_path):
    mlflow = pytest.importorskip("mlflow")
    from monai.handlers import MLFlowHandler

    uri = f"sqlite:///{tmp_path}/mlflow.db"
    handler = MLFlowHandler(tracking_uri=uri, output_transform=loss_components, close_on_complete=True)
    make_trainer([SupervisedTerm(), *bank_terms()], train_handlers=[handler]).run()
    client = mlflow.MlflowClient(uri)
    (run,) = client.search_runs([e.experiment_id for e in client.search_experiments()])
    assert {"loss_supervised", "loss_contrastive"} <= set(run.data.metrics)


def test_bfloat16_autocast_trains():
    terms = bank_terms()
    trainer = make_trainer(
        [SupervisedTerm(), *terms], max_epochs=8, amp=True, amp_kwargs={"dtype": torch.bfloat16}, decollate=False
    )
    losses = []
    trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda: losses.append(float(trainer.state.output["loss"])))
    trainer.run()
    bank = bank_of(terms)
    assert losses[-1] < 0.7 * losses[0]
    assert bank.rows.dtype == torch.float32
    assert torch.isfinite(bank.rows).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pseudo_label_source": "oracle"}, "pseudo_label_source must be one of"),
        ({"terms": [ConsistencyTerm()], "pseudo_label_source": "teacher"}, "teacher must be given"),
        ({"terms": []}, "terms must hold at least one"),
        ({"terms": [VATTerm(), VATTerm()]}, "different names, got 'vat' twice"),
    ],
)
def test_parts_that_do_not_fit(options, message):
    with pytest.raises(ValueError, match=message):
        make_trainer(**options)


def test_what_is_no_term_is_named():
    with pytest.raises(ValueError, match=r"must be monai_proto\.losses\.terms\.Term, got Linear"):
        WeightedTerms([nn.Linear(1, 1)])


def test_feature_size_that_does_not_match_the_bank():
    memory = LabelledVoxelBank(ClassMemoryBank(CLASSES, DIM + 1), MemoryBankContrastiveLoss(CLASSES))
    trainer = make_trainer([SupervisedTerm(), ContrastiveTerm(memory)])
    with pytest.raises(ValueError, match=rf"features must have shape \(N, {DIM + 1}\)"):
        trainer.run()
