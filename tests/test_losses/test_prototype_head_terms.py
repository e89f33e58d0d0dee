from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from monai_proto.losses import cluster_loss, diversity_loss, prototype_contrastive_loss, separation_loss


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
