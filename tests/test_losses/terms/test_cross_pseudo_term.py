from __future__ import annotations

import pytest
import torch
from monai.losses import DiceCELoss
from toy_step import toy_network, toy_step

from monai_proto.losses.terms import CrossPseudoTerm, WeightedTerms
from monai_proto.optimizers import term_parameter_groups


def slow_cross_entropy(logits: torch.Tensor, teacher: torch.Tensor) -> float:
    losses = []
    for b in range(logits.shape[0]):
        for x in range(logits.shape[2]):
            for y in range(logits.shape[3]):
                label = int(teacher[b, :, x, y].argmax())
                losses.append(-float(logits[b, :, x, y].log_softmax(0)[label]))
    return sum(losses) / len(losses)


@pytest.mark.parametrize("ramp", [0.0, 0.3, 1.0])
def test_against_loops_over_voxels(ramp):
    first, second = toy_network(0), toy_network(1)
    term = CrossPseudoTerm(second, cross_weight=1.5)
    step = toy_step(term.views, first, ramp=ramp)
    value = term(step)
    images = torch.cat([step.images, step.unlabelled["image_strong"]])
    a, b = first(images).detach(), second(images).detach()
    supervised = DiceCELoss(to_onehot_y=True, softmax=True)(b[:2], step.labels).item()
    expected = supervised + ramp * 1.5 * (slow_cross_entropy(a, b) + slow_cross_entropy(b, a))
    assert value.item() == pytest.approx(expected, rel=1e-5)


def test_either_network_learns_and_the_labels_of_the_other_carry_no_gradient():
    first, second = toy_network(0), toy_network(1)
    term = CrossPseudoTerm(second, supervised_loss=lambda logits, labels: 0 * logits.sum())
    step = toy_step(term.views, first)
    term(step).backward()
    images = torch.cat([step.images, step.unlabelled["image_strong"]])
    expected = torch.nn.functional.cross_entropy(second(images), first(images).argmax(1))
    for parameter, wanted in zip(
        second.network.parameters(), torch.autograd.grad(1.5 * expected, list(second.network.parameters())), strict=True
    ):
        torch.testing.assert_close(parameter.grad, wanted, rtol=1e-4, atol=1e-6)
    assert all(parameter.grad is not None for parameter in first.network.parameters())


def test_the_second_network_is_in_the_optimiser_and_in_the_state():
    second = toy_network(1)
    terms = WeightedTerms([CrossPseudoTerm(second)])
    groups = term_parameter_groups(toy_network(0), terms, 1e-3)
    assert [(group["name"], group["lr"]) for group in groups] == [("network", 1e-3), ("cross_pseudo", 1e-3)]
    assert {id(p) for p in groups[1]["params"]} == {id(p) for p in second.parameters()}
    assert {f"cross_pseudo.network.{name}" for name in second.state_dict()} == set(terms.state_dict())
