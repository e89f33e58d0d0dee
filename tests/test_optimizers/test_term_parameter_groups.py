from __future__ import annotations

import pytest
import torch
from torch import nn

from monai_proto.losses import MemoryBankContrastiveLoss
from monai_proto.losses.terms import (
    CompactnessTerm,
    ContrastiveTerm,
    LabelledVoxelBank,
    SupervisedTerm,
    VATTerm,
    WeightedTerms,
)
from monai_proto.networks.blocks import ClassMemoryBank
from monai_proto.optimizers import term_parameter_groups


def bank_terms(learned: bool) -> list:
    loss = MemoryBankContrastiveLoss(3, 8, use_learned_selector=learned)
    memory = LabelledVoxelBank(ClassMemoryBank(3, 8), loss)
    return [SupervisedTerm(), ContrastiveTerm(memory), CompactnessTerm(memory), VATTerm()]


def test_selectors_have_a_tenth_of_the_rate_in_the_group_of_the_term_that_comes_first():
    network, terms = nn.Linear(2, 2), bank_terms(learned=True)
    groups = term_parameter_groups(network, terms, 1e-2)
    assert [(group["name"], group["lr"]) for group in groups] == [
        ("network", 1e-2),
        ("contrastive", pytest.approx(1e-3)),
    ]
    assert {id(p) for p in groups[1]["params"]} == {id(p) for p in terms[1].memory.loss.parameters()}
    torch.optim.AdamW(groups)  # no parameter is in two groups


def test_terms_without_parameters_add_no_group():
    assert len(term_parameter_groups(nn.Linear(2, 2), bank_terms(learned=False), 1e-2)) == 1
    assert len(term_parameter_groups(nn.Linear(2, 2), [], 1e-2)) == 1


def test_a_list_its_module_and_the_wrapper_around_it_give_the_same():
    class Wrapper(nn.Module):
        def __init__(self, module: nn.Module) -> None:
            super().__init__()
            self.module = module

    network, terms = nn.Linear(2, 2), bank_terms(learned=True)
    expected = term_parameter_groups(network, terms, 1e-2)
    for same in (WeightedTerms(terms), Wrapper(WeightedTerms(terms))):
        assert term_parameter_groups(network, same, 1e-2) == expected


def test_what_is_frozen_is_left_out():
    network, terms = nn.Linear(2, 2), bank_terms(learned=True)
    network.bias.requires_grad_(False)
    terms[1].memory.loss.memory_selectors.requires_grad_(False)
    first, second = term_parameter_groups(network, terms, 1e-2)
    assert first["params"] == [network.weight]
    assert len(second["params"]) == len(list(terms[1].memory.loss.feature_selectors.parameters()))
