from __future__ import annotations

import logging

import pytest
import torch
import torch.nn.functional as F
from ignite.engine import Engine, Events
from monai.data import DataLoader, Dataset, MetaTensor
from monai.handlers import StatsHandler
from torch import nn

from monai_proto.engines import ClassificationTrainer, EmbeddedBatches
from monai_proto.handlers import (
    PrototypeAdaptationHandler,
    PrototypePushHandler,
    PrototypeStageHandler,
    loss_components,
)
from monai_proto.losses import PrototypeLoss
from monai_proto.networks.blocks import PrototypeHead
from monai_proto.networks.nets import PrototypeClassifier

NAMES = [f"bild_{i}.png" for i in range(24)]


def make_items() -> list[dict]:
    """Two classes: a bright square at the left, or a bright stripe at the bottom."""
    generator = torch.Generator().manual_seed(0)
    items = []
    for i, name in enumerate(NAMES):
        image = 0.2 * torch.randn(3, 16, 16, generator=generator)
        if i % 2:
            image[:, 12:, :] += 1
        else:
            image[:, 4:8, :4] += 2
        items.append({"image": image, "label": torch.tensor(i % 2), "image_id": name})
    return items


def make_trunk() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 16, 4, stride=4), nn.BatchNorm2d(16), nn.ReLU())


def train(epochs: int, handlers=lambda *_: (), network=None, loss=None, **options):
    torch.manual_seed(0)
    loader = DataLoader(Dataset(make_items()), batch_size=8, shuffle=True)
    still = DataLoader(Dataset(make_items()), batch_size=8)
    network = network or PrototypeClassifier(make_trunk(), PrototypeHead(2, 8, 2, 16, 2, 4))
    parameters = [*network.parameters(), *(loss.parameters() if loss else ())]
    optimizer = torch.optim.Adam(parameters, lr=0.02)
    trainer = ClassificationTrainer(
        "cpu",
        epochs,
        loader,
        network,
        optimizer,
        prototype_loss=loss,
        decollate=False,
        train_handlers=list(handlers(network, still, optimizer)),
        **options,
    )
    trainer.run()
    return trainer, network, still


def test_learns_by_prototypes_and_every_component_is_in_the_output():
    torch.manual_seed(0)
    loss = PrototypeLoss(abstention_scale=0.1)
    network = PrototypeClassifier(make_trunk(), PrototypeHead(2, 8, 2, 16, 2, 4, abstention=True))
    trainer, network, still = train(20, network=network, loss=loss)
    output = trainer.state.output
    terms = {"ce_loss", "cluster_loss", "sep_loss", "div_loss", "contrastive_loss", "abstention_loss", "log_sigma"}
    assert terms <= set(output)
    total = torch.exp(-2 * output["log_sigma"]) * output["ce_loss"] + output["log_sigma"]
    total = total + sum(loss.scales[name] * output[name] for name in loss.scales.keys() & terms)
    torch.testing.assert_close(output["loss"], total)
    assert set(loss_components(output)) == (terms - {"log_sigma"}) | {"loss"}
    assert float(loss.log_sigma.detach()) != 0
    network.eval()
    answers = torch.cat([network(batch["image"]).argmax(dim=1) for batch in still])
    assert (answers == torch.arange(24) % 2).float().mean() > 0.9


def test_a_network_without_prototypes_gets_the_ordinary_loss():
    network = nn.Sequential(make_trunk(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 2))
    trainer, _, _ = train(2, network=network)
    output = trainer.state.output
    torch.testing.assert_close(output["loss"], F.cross_entropy(output["pred"], output["label"]))
    assert set(output) == {"image", "label", "pred", "loss"}


def test_trains_under_autocast():
    trainer, _, _ = train(2, amp=True, amp_kwargs={"dtype": torch.bfloat16})
    assert torch.isfinite(trainer.state.output["loss"])


def test_stages_follow_the_epoch_and_prototypes_end_on_training_patches(caplog):
    seen = []

    def handlers(network, still, optimizer):
        push = PrototypePushHandler(network, still, "cpu", start_epoch=3, interval=1, projection_epoch=5)
        stages = PrototypeStageHandler(network, warm_up_epochs=2, last_layer_epochs=1)
        return [stages, push, _Record(network, seen)]

    with caplog.at_level(logging.INFO):
        _, network, still = train(6, handlers)
    assert seen == ["warm_up", "warm_up", "joint", "joint", "joint", "last_layer"]

    bank, batches = network.head.bank, EmbeddedBatches(network, still, "cpu")
    patches = {name: row for embedded, _, names in batches for name, row in zip(names, embedded, strict=True)}
    for slot, prototype in zip(bank.valid_slots.tolist(), bank.valid_prototypes(), strict=True):
        source = bank.provenance.read(slot)
        assert source.epoch == 5
        assert NAMES.index(source.image_id) % 2 == int(bank.prototype_labels[slot])
        distance = float((patches[source.image_id][source.patch_index] - prototype).norm())
        assert distance == pytest.approx(source.distance, abs=1e-4)
        assert distance < 1e-4
    assert "Push after epoch 3: 4 prototypes moved" in caplog.text
    assert "Push after epoch 6" not in caplog.text


def test_last_stage_sets_its_own_rate_and_decay_and_moves_nothing_but_the_last_layer():
    rates, before = [], {}

    class Watch:
        def __init__(self, network, optimizer):
            self.network, self.optimizer = network, optimizer

        def attach(self, engine):
            engine.add_event_handler(Events.EPOCH_STARTED, self)
            engine.add_event_handler(Events.EPOCH_COMPLETED(once=2), self.keep)

        def __call__(self, engine):
            rates.append([(round(g["lr"], 9), g["weight_decay"]) for g in self.optimizer.param_groups])

        def keep(self, engine):
            before.update({k: v.clone() for k, v in self.network.state_dict().items()})

    def handlers(network, still, optimizer):
        stages = PrototypeStageHandler(network, 0, 2, optimizer, 0.03, 0.5)
        return [stages, Watch(network, optimizer)]

    _, network, _ = train(4, handlers)
    own = rates[0]
    assert rates[1] == own
    assert rates[2] == [(0.03, 0.5)] * len(own)
    assert rates[3] == [(0.015, 0.5)] * len(own)
    moved = {k for k, v in network.state_dict().items() if v.is_floating_point() and not torch.equal(v, before[k])}
    assert moved == {"head.class_weight", "head.class_bias", "head.log_scale"}


class _Record:
    def __init__(self, network, seen):
        self.network, self.seen = network, seen

    def attach(self, engine):
        engine.add_event_handler(Events.EPOCH_COMPLETED, lambda: self.seen.append(self.network.stage))


def test_global_push_takes_the_pooled_embedding():
    def handlers(network, still, _):
        return [PrototypePushHandler(network, still, "cpu", start_epoch=1, mode="global", projection_epoch=1)]

    _, network, _ = train(1, handlers)
    source = network.head.bank.provenance.read(0)
    assert source.box == (0.0, 1.0, 0.0, 1.0)
    network.eval()
    item = make_items()[NAMES.index(source.image_id)]
    pooled = network.embed(item["image"][None]).pooled[0]
    torch.testing.assert_close(network.head.bank.valid_prototypes()[0], pooled, atol=1e-4, rtol=1e-4)


def test_growing_starts_weights_and_optimizer_afresh():
    kept = {}

    def handlers(network, still, optimizer):
        kept.update(optimizer=optimizer)
        options = {"far_distance": -1.0, "far_share": 0.1, "prune_unused": False, "duplicate_cosine": 1.1}
        kept["handler"] = PrototypeAdaptationHandler(network, still, "cpu", optimizer, 2, 5, **options)
        return [kept["handler"]]

    _, network, _ = train(2, handlers)
    head, grown = network.head, kept["handler"].report.grown
    assert grown == [2, 6]
    assert head.class_weight[:, grown].tolist() == [[1.0, -0.5], [-0.5, 1.0]]
    assert (kept["optimizer"].state[head.bank.prototypes]["exp_avg"][grown] == 0).all()
    assert (kept["optimizer"].state[head.bank.prototypes]["exp_avg"][0] != 0).any()


def test_components_reach_the_log(capsys):
    train(1, lambda *_: [StatsHandler(tag_name="train", output_transform=loss_components)])
    assert "cluster_loss: " in capsys.readouterr().out


def test_names_come_from_the_metadata_when_the_batch_has_none():
    network = PrototypeClassifier(make_trunk(), PrototypeHead(2, 8, 2, 16)).train()
    meta = [MetaTensor(item["image"], meta={"filename_or_obj": item["image_id"]}) for item in make_items()]
    items = [{"image": image, "label": 0} for image in meta]
    names = [
        name
        for *_, names in EmbeddedBatches(network, DataLoader(Dataset(items), batch_size=8), "cpu")
        for name in names
    ]
    assert names == NAMES
    assert network.training
    plain = [{"image": item["image"], "label": 0} for item in make_items()]
    with pytest.raises(ValueError, match="must name its images"):
        next(iter(EmbeddedBatches(network, DataLoader(Dataset(plain), batch_size=8), "cpu")))
    with pytest.raises(ValueError, match="mode must be one of"):
        EmbeddedBatches(network, [], "cpu", mode="both")


def test_a_class_without_images_is_said(caplog):
    items = [item for item in make_items() if item["label"] == 0]
    network = PrototypeClassifier(make_trunk(), PrototypeHead(2, 8, 2, 16))
    handler = PrototypePushHandler(network, DataLoader(Dataset(items), batch_size=8), "cpu", start_epoch=1)
    trainer = ClassificationTrainer(
        "cpu",
        1,
        DataLoader(Dataset(items), batch_size=8),
        network,
        torch.optim.SGD(network.parameters(), 0.1),
        decollate=False,
    )
    handler.attach(trainer)
    with caplog.at_level(logging.WARNING):
        trainer.run()
    assert "no training image of the classes [1]" in caplog.text
    assert handler.report.unseen_classes == [1]


def test_intervals_that_do_not_fit():
    network = PrototypeClassifier(make_trunk(), PrototypeHead(2, 8, 2, 16))
    with pytest.raises(ValueError, match="start_epoch and interval must be at least 1"):
        PrototypePushHandler(network, [], "cpu", interval=0)
    with pytest.raises(ValueError, match="must not be negative"):
        PrototypeStageHandler(network, warm_up_epochs=-1)
    with pytest.raises(ValueError, match="need the optimizer"):
        PrototypeStageHandler(network, last_layer_weight_decay=0.1)


def test_last_stage_needs_an_end_to_count_from():
    stages = PrototypeStageHandler(PrototypeClassifier(make_trunk(), PrototypeHead(2, 8, 2, 16)), last_layer_epochs=1)
    with pytest.raises(ValueError, match="must have max_epochs"):
        stages(Engine(lambda engine, batch: None))
