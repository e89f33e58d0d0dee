from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from monai_proto.losses import inter_class_separation_loss, intra_class_compactness_loss


def cosine(a, b):
    return ((a * b).sum() / (a.norm() * b.norm())).item()


def make_case(seed, num_rows=30, num_classes=4):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(num_rows, 6, generator=generator)
    labels = torch.randint(-1, num_classes, (num_rows,), generator=generator)
    means = torch.randn(num_classes, 6, generator=generator)
    counts = torch.randint(0, 3, (num_classes,), generator=generator)
    return features, labels, means * (counts > 0).unsqueeze(1), counts


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), num_rows=st.integers(0, 30))
def test_compactness_row_by_row(seed, num_rows):
    features, labels, means, counts = make_case(seed, num_rows)
    distances = [
        1 - cosine(features[i], means[labels[i]]) for i in range(num_rows) if labels[i] >= 0 and counts[labels[i]] > 0
    ]
    expected = sum(distances) / len(distances) if distances else 0.0
    value = intra_class_compactness_loss(features, labels, means, counts)
    assert value.item() == pytest.approx(expected, abs=1e-5)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_separation_pair_by_pair(seed):
    _, _, means, counts = make_case(seed)
    pairs = [
        max(cosine(means[a], means[b]), 0.0) for a in range(4) for b in range(a) if counts[a] > 0 and counts[b] > 0
    ]
    expected = sum(pairs) / len(pairs) if pairs else 0.0
    assert inter_class_separation_loss(means, counts).item() == pytest.approx(expected, abs=1e-5)


def test_compactness_pulls_rows_to_their_mean():
    features, labels, means, counts = make_case(3)
    features.requires_grad_()
    before = intra_class_compactness_loss(features, labels, means, counts)
    before.backward()
    rows = (labels >= 0) & (counts[labels.clamp(min=0)] > 0)
    assert features.grad[rows].abs().sum(1).gt(0).all()
    assert not features.grad[~rows].any()
    with torch.no_grad():
        assert intra_class_compactness_loss(features - features.grad, labels, means, counts) < before


def test_separation_of_known_means():
    counts = torch.tensor([1, 1])
    for second, expected in (([2.0, 0.0], 1.0), ([0.0, 3.0], 0.0), ([-1.0, 0.0], 0.0), ([1.0, 1.0], 0.5**0.5)):
        means = torch.tensor([[1.0, 0.0], second])
        assert inter_class_separation_loss(means, counts).item() == pytest.approx(expected, abs=1e-6)
