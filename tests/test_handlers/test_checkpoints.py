from __future__ import annotations

import pytest
import torch
from ignite.engine import Engine, Events
from monai.handlers import StatsHandler
from torch import nn

from monai_proto.handlers import BestCheckpointSaver, NamedCheckpointLoader


def validate(saver: BestCheckpointSaver, network: nn.Linear, scores: list[float]) -> None:
    """An evaluator that reports the scores in turn, with the network's bias set to each."""
    engine = Engine(lambda *_: None)
    engine.state.key_metric_name = "dice"

    @engine.on(Events.EPOCH_COMPLETED)
    def _score() -> None:
        engine.state.metrics = {"dice": scores[engine.state.epoch - 1]}
        nn.init.constant_(network.bias, scores[engine.state.epoch - 1])

    saver.attach(engine)
    engine.run([0], max_epochs=len(scores))


def test_the_best_model_survives_a_restart(tmp_path):
    network = nn.Linear(2, 1)
    saver = BestCheckpointSaver(str(tmp_path), {"model": network})
    validate(saver, network, [0.5, 0.8, 0.6])
    resumed = BestCheckpointSaver(str(tmp_path), {"model": network})
    resumed.load_state_dict(saver.state_dict())
    validate(resumed, network, [0.7])
    assert torch.load(tmp_path / "model.pt", weights_only=True)["bias"].item() == pytest.approx(0.8)
    validate(resumed, network, [0.9])
    assert torch.load(tmp_path / "model.pt", weights_only=True)["bias"].item() == pytest.approx(0.9)


@pytest.mark.parametrize("damage", ["missing", "other classes", "garbage"])
def test_a_checkpoint_that_does_not_fit_is_named(tmp_path, damage):
    path = tmp_path / "model.pt"
    if damage == "other classes":
        torch.save({"model": nn.Linear(2, 3).state_dict()}, path)
    elif damage == "garbage":
        path.write_bytes(b"\x80garbage")
    engine = Engine(lambda *_: None)
    NamedCheckpointLoader(str(path), {"model": nn.Linear(2, 2)}).attach(engine)
    with pytest.raises(ValueError, match=r"model\.pt (does not exist|does not fit)"):
        engine.run([0], max_epochs=1)


def test_a_model_counts_only_from_its_epoch_on(tmp_path):
    network = nn.Linear(2, 1)
    saver = BestCheckpointSaver(str(tmp_path), {"model": network}, from_epoch=3)
    validate(saver, network, [0.9, 0.95, 0.4, 0.6, 0.5])
    assert torch.load(tmp_path / "model.pt", weights_only=True)["bias"].item() == pytest.approx(0.6)


def test_the_saver_is_found_among_the_handlers_of_a_bundle(tmp_path):
    saver = BestCheckpointSaver(str(tmp_path), {"model": nn.Linear(1, 1)})
    assert BestCheckpointSaver.among([StatsHandler(), saver]) is saver
    for handlers in ([StatsHandler()], [saver, saver]):
        with pytest.raises(ValueError, match="handlers must hold one BestCheckpointSaver"):
            BestCheckpointSaver.among(handlers)
