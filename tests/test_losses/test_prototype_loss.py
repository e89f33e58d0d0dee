from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from monai_proto.losses import (
    PrototypeLoss,
    abstention_loss,
    class_balanced_weights,
    cluster_loss,
    inverse_root_weights,
)
from monai_proto.networks.blocks import PrototypeHead


def test_class_weights_have_mean_one_and_favour_the_rare():
    counts = torch.tensor([5000, 100, 10])
    balanced = class_balanced_weights(counts)
    direct = (1 - 0.9999) / (1 - 0.9999 ** counts.double())
    torch.testing.assert_close(balanced, (direct / direct.mean()).float())
    root = inverse_root_weights(counts)
    torch.testing.assert_close(root, (counts.double() ** -0.5 / (counts.double() ** -0.5).mean()).float())
    assert float(class_balanced_weights(torch.tensor([5, 0]))[1]) == 0
    torch.testing.assert_close(class_balanced_weights(torch.tensor([7, 70]), beta=0.0), torch.ones(2))
    with pytest.raises(ValueError, match="beta must be in"):
        class_balanced_weights(counts, beta=1.0)


def test_abstention_target_is_wrong_or_unsure():
    logits = torch.tensor([[5.0, 0.0], [5.0, 0.0], [0.1, 0.0]])
    labels = torch.tensor([0, 1, 0])  # right and sure, wrong, right and unsure
    share = torch.tensor([0.2, 0.3, 0.4])
    expected = -(torch.log(torch.tensor(0.8)) + torch.log(torch.tensor(0.3)) + torch.log(torch.tensor(0.4))) / 3
    torch.testing.assert_close(abstention_loss(share, logits, labels, 0.6), expected)
    assert torch.isfinite(abstention_loss(torch.tensor([0.0, 1.0, 1.0]), logits, labels))


@pytest.fixture
def output():
    torch.manual_seed(0)
    head = PrototypeHead(3, 8, 2, 12, num_prototypes=2, max_prototypes=4, abstention=True)
    patches = torch.randn(5, 6, 12)
    return head(patches.mean(dim=1), patches)


LABELS = torch.tensor([0, 2, 2, 1, 0])


def test_total_is_the_weighted_sum_of_its_components(output):
    loss = PrototypeLoss(abstention_scale=0.1)
    with torch.no_grad():
        loss.log_sigma.fill_(0.3)
    total, parts = loss(output, LABELS), loss.components
    assert set(parts) == {
        "ce_loss",
        "cluster_loss",
        "sep_loss",
        "div_loss",
        "contrastive_loss",
        "abstention_loss",
        "log_sigma",
    }
    expected = torch.exp(torch.tensor(-0.6)) * parts["ce_loss"] + 0.3 + 0.8 * parts["cluster_loss"]
    expected += 0.08 * parts["sep_loss"] + 0.01 * parts["div_loss"] + 0.05 * parts["contrastive_loss"]
    torch.testing.assert_close(total.detach(), expected + 0.1 * parts["abstention_loss"])
    # the cross-entropy is in it: an earlier version had left it out
    torch.testing.assert_close(parts["ce_loss"], F.cross_entropy(output.logits.detach(), LABELS))
    assert all(not part.requires_grad for part in parts.values())


def test_components_are_those_of_the_pure_functions(output):
    loss = PrototypeLoss(class_counts=[10, 100, 1000], class_weights="class_balanced")
    loss(output, LABELS)
    weights = class_balanced_weights(torch.tensor([10, 100, 1000]))
    wanted = cluster_loss(output.distances, LABELS, output.prototype_labels, weights)
    torch.testing.assert_close(loss.components["cluster_loss"], wanted.detach())
    focal = PrototypeLoss(gamma=2.0, class_weights="none")
    focal(output, LABELS)
    factor = (1 - output.logits.softmax(1)[torch.arange(5), LABELS]) ** 2
    wanted = cluster_loss(output.distances, LABELS, output.prototype_labels, sample_weights=factor)
    torch.testing.assert_close(focal.components["cluster_loss"], wanted.detach())


def test_the_pooled_classifier_learns_beside_the_prototypes():
    torch.manual_seed(0)
    head = PrototypeHead(3, 8, 2, 12, num_prototypes=2, max_prototypes=4, pooled_classifier=True).eval()
    output = head(torch.randn(5, 12), torch.randn(5, 6, 12))
    loss, without = PrototypeLoss(pooled_scale=0.5), PrototypeLoss()
    total = loss(output, LABELS)
    expected = F.cross_entropy(output.pooled_logits, LABELS)
    torch.testing.assert_close(loss.components["pooled_loss"], expected.detach())
    torch.testing.assert_close(
        total - without(output._replace(pooled_logits=torch.empty(5, 0)), LABELS), 0.5 * expected
    )
    assert "pooled_loss" not in without.components
    total.backward()
    assert head.pooled_classifier[1].weight.grad.abs().sum() > 0


def test_log_sigma_learns_and_presets_leave_it(output):
    loss = PrototypeLoss()
    loss(output, LABELS).backward()
    torch.testing.assert_close(loss.log_sigma.grad, 1 - 2 * loss.components["ce_loss"])
    assert not PrototypeLoss.preset("protopnet").log_sigma.requires_grad
    assert PrototypeLoss.preset("protopnet", cluster_scale=0.5).scales["cluster_loss"] == 0.5


def test_bad_arguments(output):
    with pytest.raises(ValueError, match=r"labels must be in 0 \.\. 2, got values from 0 to 3"):
        PrototypeLoss()(output, torch.tensor([0, 1, 2, 3, 0]))
    with pytest.raises(ValueError, match="labels must have shape"):
        PrototypeLoss()(output, torch.tensor([0, 1]))
    with pytest.raises(ValueError, match="class_weights must be one of"):
        PrototypeLoss(class_weights="balanced")
    with pytest.raises(ValueError, match="name must be one of"):
        PrototypeLoss.preset("x")
