from __future__ import annotations

import pytest
import torch
from torch import nn

from monai_proto.losses import PrototypeLoss
from monai_proto.networks.blocks import PrototypeHead
from monai_proto.networks.nets import PrototypeClassifier
from monai_proto.optimizers import backbone_parameter_groups


def test_every_parameter_is_in_one_group():
    network = PrototypeClassifier(nn.Conv2d(3, 4, 2), PrototypeHead(2, 4, 2, 4))
    network.set_stage("warm_up")  # frozen now, to be trained later
    loss = PrototypeLoss()
    groups = backbone_parameter_groups(network, loss, 1e-4)
    optimizer = torch.optim.AdamW(groups, lr=1e-3)
    backbone, head = optimizer.param_groups
    assert (backbone["lr"], head["lr"]) == (1e-4, 1e-3)
    assert {id(p) for p in backbone["params"]} == {id(p) for p in network.backbone.parameters()}
    assert {id(p) for p in head["params"]} == {id(p) for p in [*network.head.parameters(), loss.log_sigma]}


def test_a_loss_that_learns_nothing_adds_nothing():
    network = PrototypeClassifier(nn.Conv2d(3, 4, 2), PrototypeHead(2, 4, 2, 4))
    count = len(list(network.head.parameters()))
    for loss in (None, PrototypeLoss(learn_sigma=False)):
        assert len(backbone_parameter_groups(network, loss, 1e-4)[1]["params"]) == count
    with pytest.raises(ValueError, match="must have a submodule backbone"):
        backbone_parameter_groups(nn.Linear(2, 2), None, 1e-4)
