from __future__ import annotations

import copy
import pickle

import torch
from torch import nn

from monai_proto.networks.freezing import freeze, keep_in_evaluation, thaw


def state_of(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def test_copies_and_pickles_of_a_frozen_module_stay_frozen():
    module = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Dropout())
    freeze(module)
    for frozen in (module, copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert nn.Sequential(frozen).train()[0] is frozen
        assert not any(part.training for part in frozen.modules())
        assert not any(parameter.requires_grad for parameter in frozen.parameters())
        before = state_of(frozen)
        frozen(torch.rand(2, 3, 4, 4))
        assert all(torch.equal(before[name], value) for name, value in frozen.state_dict().items())
    duplicate = copy.deepcopy(module)
    assert duplicate.train() is duplicate  # and not the module it was copied from


def test_a_thawed_module_trains_as_before():
    module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    freeze(module)
    thaw(module)
    assert all(parameter.requires_grad for parameter in module.parameters())
    assert not module.training  # until somebody says so
    assert all(part.training for part in module.train().modules())
    before = state_of(module)
    module(torch.rand(5, 3))
    assert not torch.equal(before["1.running_mean"], module[1].running_mean)


def test_a_module_is_kept_in_evaluation_without_its_children():
    module = nn.Sequential(nn.BatchNorm1d(3), nn.Dropout())
    keep_in_evaluation(module[0])
    module.train()
    assert [part.training for part in module] == [False, True]
    keep_in_evaluation(module)
    module[1].train()
    assert [part.training for part in module] == [False, True]
