from __future__ import annotations

import torch
from monai.data import MetaTensor
from torch import nn

from monai_proto.engines.training_step import optimizer_step, plain_tensors


class Trainer:
    """What an optimiser's step looks at."""

    def __init__(self, network: nn.Module, scaler: torch.amp.GradScaler | None) -> None:
        self.optimizer = torch.optim.SGD(network.parameters(), lr=0.5)
        self.scaler = scaler


def test_a_scaled_step_is_the_step():
    results = []
    for scaler in (None, torch.amp.GradScaler("cpu", init_scale=1024.0)):
        torch.manual_seed(0)
        network = nn.Linear(3, 1)
        start = network.weight.detach().clone()
        images = torch.randn(4, 3)
        optimizer_step(Trainer(network, scaler), network(images).sum())
        torch.testing.assert_close(network.weight.detach(), start - 0.5 * images.sum(0, keepdim=True))
        results.append(network.weight.detach())
    torch.testing.assert_close(*results)


def test_a_step_that_overflows_is_left_out():
    network = nn.Linear(3, 1)
    start = network.weight.detach().clone()
    trainer = Trainer(network, torch.amp.GradScaler("cpu", init_scale=1024.0))
    optimizer_step(trainer, network(torch.full((1, 3), torch.inf)).sum())
    assert torch.equal(network.weight, start)
    assert trainer.scaler.get_scale() < 1024.0


def test_metadata_is_left_behind_in_tuples_and_mappings():
    image = MetaTensor(torch.ones(1, 2), meta={"filename_or_obj": "a.nii.gz"})
    pair = plain_tensors([image, torch.zeros(1)])
    named = plain_tensors({"image": image, "id": "a", "more": (image,)})
    assert type(pair[0]) is torch.Tensor
    assert isinstance(pair, tuple)
    assert type(named["image"]) is torch.Tensor
    assert type(named["more"][0]) is torch.Tensor
    assert named["id"] == "a"
