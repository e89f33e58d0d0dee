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
from monai_proto.losses import MemoryBankContrastiveLoss, SoftmaxConsistencyLoss, VATLoss
from monai_proto.networks.blocks import ClassMemoryBank
from monai_proto.networks.nets import ProjectedSegmentationNet
from monai_proto.optimizers import selector_parameter_groups
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


def make_trainer(network=None, max_epochs=1, num_batches=4, learned=True, **parts) -> SemiSupervisedTrainer:
    network = network or make_network()
    loss = parts.get("contrastive_loss")
    optimizer = torch.optim.Adam(selector_parameter_groups(network, loss, 1e-2))
    return SemiSupervisedTrainer("cpu", max_epochs, make_loader(num_batches), network, optimizer, **parts)


def bank_parts(learned: bool = True) -> dict:
    return {
        "bank": ClassMemoryBank(CLASSES, DIM, rows_per_class=4),
        "contrastive_loss": MemoryBankContrastiveLoss(CLASSES, DIM, use_learned_selector=learned),
    }


def test_every_part_is_in_the_output_and_the_total_is_their_weighted_sum():
    trainer = make_trainer(
        pseudo_label_source="student",
        vat_loss=VATLoss(),
        consistency_loss=SoftmaxConsistencyLoss(),
        ramp_up_epochs=2,
        contrastive_weight=0.3,
        decollate=False,
        **bank_parts(),
    )
    trainer.run()
    output = trainer.state.output
    names = {"supervised", "contrastive", "compactness", "separation", "consistency", "vat"}
    assert {f"loss_{name}" for name in names} | {"loss"} == {k for k in output if k.startswith("loss")}
    weights = {"contrastive": 0.3, "compactness": 0.1, "separation": 0.1, "consistency": 1.0, "vat": 1.0}
    expected = output["loss_supervised"] + output["ramp"] * sum(w * output[f"loss_{n}"] for n, w in weights.items())
    assert output["loss"].item() == pytest.approx(expected.item(), rel=1e-6)
    assert output["pred"].shape == (2, CLASSES, 16, 16)
    assert all(not value.requires_grad for value in output.values())


def test_ramp_follows_the_iteration():
    trainer = make_trainer(pseudo_label_source="student", ramp_up_epochs=2.0, max_epochs=3, decollate=False)
    ramps = []
    trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda: ramps.append(float(trainer.state.output["ramp"])))
    trainer.run()
    expected = [torch.exp(torch.tensor(-5.0 * (1 - min(i / 4 / 2, 1)) ** 2)).item() for i in range(12)]
    assert ramps == pytest.approx(expected)


def test_learns_with_everything_on():
    network = make_network()
    teacher = copy.deepcopy(network)
    trainer = make_trainer(
        network,
        max_epochs=15,
        teacher=teacher,
        copy_paste=RandBidirectionalCopyPaste(),
        train_handlers=[EMATeacherHandler(network, teacher, 0.9)],
        **bank_parts(),
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
    parts = bank_parts(learned=False)
    trainer = make_trainer(network, pseudo_label_source="student", num_batches=1, **parts)
    labels = []
    trainer.add_event_handler(
        Events.ITERATION_COMPLETED, lambda: labels.extend(item["label"] for item in trainer.state.output)
    )
    trainer.run()
    assert parts["bank"].counts.tolist() == [0, 4, 0]
    # the first K projections at grid cells whose label is 1 (the grid is half the image's, a cell's middle counts)
    grid_labels = torch.stack(labels)[:, 0, 1::2, 1::2].reshape(-1)
    rows = projected[0][:2].movedim(1, -1).reshape(-1, DIM)[grid_labels == 1]
    torch.testing.assert_close(parts["bank"].rows[1], rows[:4])


def test_background_enters_the_bank_only_when_asked():
    for asked in (False, True):
        parts = bank_parts(learned=False)
        make_trainer(max_epochs=6, pseudo_label_source="student", bank_background=asked, **parts).run()
        assert bool(parts["bank"].counts[0] > 0) is asked
        assert parts["bank"].counts[1:].min() > 0


def test_selectors_train_at_a_tenth_of_the_rate_and_the_network_at_all():
    parts = bank_parts()
    network = make_network()
    groups = selector_parameter_groups(network, parts["contrastive_loss"], 1e-2)
    assert [group["lr"] for group in groups] == [1e-2, pytest.approx(1e-3)]
    assert len(selector_parameter_groups(network, MemoryBankContrastiveLoss(CLASSES), 1e-2)) == 1
    before = copy.deepcopy(parts["contrastive_loss"].state_dict())
    make_trainer(network, max_epochs=4, pseudo_label_source="student", **parts).run()
    moved = [k for k, v in parts["contrastive_loss"].state_dict().items() if not torch.equal(v, before[k])]
    assert any(k.startswith("feature_selectors.1") for k in moved)


def test_strong_view_is_seen_by_the_student_only():
    seen: dict[str, list[torch.Tensor]] = {"student": [], "teacher": []}
    network = make_network()
    teacher = copy.deepcopy(network)
    network.register_forward_pre_hook(lambda _, args: seen["student"].append(args[0]))
    teacher.register_forward_pre_hook(lambda _, args: seen["teacher"].append(args[0]))
    trainer = make_trainer(network, teacher=teacher, consistency_loss=SoftmaxConsistencyLoss(), num_batches=1)
    for item in trainer.data_loader.dataset.datasets[1].data:
        item["image_strong"] = item["image"] + 100
    trainer.run()
    assert seen["student"][0][2:].min() > 50
    assert seen["teacher"][0].max() < 50


def test_loss_components_reach_tensorboard(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    handler = TensorBoardStatsHandler(log_dir=str(tmp_path), output_transform=loss_components)
    make_trainer(pseudo_label_source="student", train_handlers=[handler], **bank_parts()).run()
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
    make_trainer(pseudo_label_source="student", train_handlers=[handler], **bank_parts()).run()
    client = mlflow.MlflowClient(uri)
    (run,) = client.search_runs([e.experiment_id for e in client.search_experiments()])
    assert {"loss_supervised", "loss_contrastive"} <= set(run.data.metrics)


def test_bfloat16_autocast_trains():
    parts = bank_parts()
    network = make_network()
    trainer = make_trainer(
        network,
        max_epochs=8,
        pseudo_label_source="student",
        amp=True,
        amp_kwargs={"dtype": torch.bfloat16},
        decollate=False,
        **parts,
    )
    losses = []
    trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda: losses.append(float(trainer.state.output["loss"])))
    trainer.run()
    assert losses[-1] < 0.7 * losses[0]
    assert parts["bank"].rows.dtype == torch.float32
    assert torch.isfinite(parts["bank"].rows).all()


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"pseudo_label_source": "oracle"}, "pseudo_label_source must be one of"),
        ({"consistency_loss": SoftmaxConsistencyLoss()}, "teacher must be given"),
        ({"bank": ClassMemoryBank(CLASSES, DIM), "pseudo_label_source": "student"}, "given together"),
    ],
)
def test_parts_that_do_not_fit(parts, message):
    with pytest.raises(ValueError, match=message):
        make_trainer(**parts)


def test_feature_size_that_does_not_match_the_bank():
    trainer = make_trainer(
        pseudo_label_source="student",
        bank=ClassMemoryBank(CLASSES, DIM + 1),
        contrastive_loss=MemoryBankContrastiveLoss(CLASSES),
    )
    with pytest.raises(ValueError, match=rf"features must have shape \(N, {DIM + 1}\)"):
        trainer.run()
