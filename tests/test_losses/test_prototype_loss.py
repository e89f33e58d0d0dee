from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from monai_proto.losses import (
    PrototypeLoss,
    abstention_loss,
    class_balanced_weights,
    cluster_loss,
    diversity_loss,
    inverse_root_weights,
    prototype_contrastive_loss,
    separation_loss,
)
from monai_proto.networks.blocks import PrototypeHead


def slow_cluster(distances, labels, prototype_labels, weights=None):
    terms = []
    for c in sorted(set(labels.tolist()) & set(prototype_labels.tolist())):
        nearest = [
            min(float(distances[i, j]) for j in range(len(prototype_labels)) if prototype_labels[j] == c)
            for i in range(len(labels))
            if labels[i] == c
        ]
        terms.append((1.0 if weights is None else float(weights[c])) * sum(nearest) / len(nearest))
    return sum(terms) / max(len(terms), 1)


def slow_separation(distances, labels, prototype_labels, margin):
    terms = []
    for i in range(len(labels)):
        others = [float(distances[i, j]) for j in range(len(prototype_labels)) if prototype_labels[j] != labels[i]]
        if others:
            terms.append(-min(others) if margin is None else max(0.0, margin - min(others)))
    return sum(terms) / max(len(terms), 1)


def slow_pairs(prototypes, labels, same, value):
    terms = []
    for i in range(len(labels)):
        for j in range(i + 1, len(labels)):
            if bool(labels[i] == labels[j]) == same:
                terms.append(value(float(F.cosine_similarity(prototypes[i], prototypes[j], dim=0))))
    return sum(terms) / max(len(terms), 1)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 12), st.integers(1, 9), st.integers(1, 4), st.integers(0, 10_000))
def test_terms_are_the_slow_loops(samples, prototypes, classes, seed):
    generator = torch.Generator().manual_seed(seed)
    distances = 2 * torch.rand(samples, prototypes, generator=generator)
    labels = torch.randint(classes, (samples,), generator=generator)
    prototype_labels = torch.randint(classes, (prototypes,), generator=generator)
    weights = torch.rand(classes, generator=generator)
    rows = torch.randn(prototypes, 3, generator=generator)
    close = {"abs": 1e-5}
    assert float(cluster_loss(distances, labels, prototype_labels)) == pytest.approx(
        slow_cluster(distances, labels, prototype_labels), **close
    )
    assert float(cluster_loss(distances, labels, prototype_labels, weights)) == pytest.approx(
        slow_cluster(distances, labels, prototype_labels, weights), **close
    )
    for margin in (1.0, None):
        assert float(separation_loss(distances, labels, prototype_labels, margin)) == pytest.approx(
            slow_separation(distances, labels, prototype_labels, margin), **close
        )
    assert float(diversity_loss(rows, prototype_labels, 0.2)) == pytest.approx(
        slow_pairs(rows, prototype_labels, True, lambda cos: max(0.0, cos - 0.2)), **close
    )
    assert float(prototype_contrastive_loss(rows, prototype_labels)) == pytest.approx(
        slow_pairs(rows, prototype_labels, False, lambda cos: cos), **close
    )


def test_terms_without_anything_to_compare_are_zero_with_a_finite_gradient():
    distances = torch.rand(3, 2, requires_grad=True)
    labels, alone = torch.tensor([0, 0, 0]), torch.tensor([1, 1])
    total = cluster_loss(distances, labels, alone) + separation_loss(distances, labels, torch.tensor([0, 0]), 1.0)
    assert float(total) == 0
    total.backward()
    assert torch.equal(distances.grad, torch.zeros(3, 2))
    assert float(prototype_contrastive_loss(torch.randn(1, 4), torch.tensor([0]))) == 0


def test_contrastive_term_leaves_prototypes_of_one_class_alone():
    """An earlier version pushed all pairs apart, and so worked against the diversity term's tolerance."""
    prototypes = torch.randn(4, 6, requires_grad=True)
    loss = prototype_contrastive_loss(prototypes, torch.tensor([0, 0, 0, 0]))
    loss.backward()
    assert float(loss) == 0
    assert torch.equal(prototypes.grad, torch.zeros(4, 6))
    two = torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.9, 0.0]])
    expected = (F.cosine_similarity(two[0], two[2], dim=0) + F.cosine_similarity(two[1], two[2], dim=0)) / 2
    torch.testing.assert_close(prototype_contrastive_loss(two, torch.tensor([0, 0, 1])), expected)


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
