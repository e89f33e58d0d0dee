from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from monai_proto.metrics import class_aurocs, macro_auroc, summarize_classification


def auroc_by_pairs(scores, own):
    """Share of pairs of a case of the class and another case that are in the right order; ties count half."""
    pairs = [
        (p, n) for p, mine in zip(scores, own, strict=True) if mine for n, m in zip(scores, own, strict=True) if not m
    ]
    return sum((p > n) + (p == n) / 2 for p, n in pairs) / len(pairs)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 2), min_size=2, max_size=15).filter(lambda y: len(set(y)) > 1), st.integers(0, 1000))
def test_mean_over_the_classes_present(labels, seed):
    weights = torch.randint(1, 4, (len(labels), 4), generator=torch.Generator().manual_seed(seed)).float()  # many ties
    probabilities = weights / weights.sum(1, keepdim=True)
    expected = {c: auroc_by_pairs(probabilities[:, c].tolist(), [y == c for y in labels]) for c in set(labels)}
    areas = class_aurocs(probabilities, torch.tensor(labels))
    for c in range(4):
        assert areas[c].item() == pytest.approx(expected.get(c, math.nan), nan_ok=True)
    mean = sum(expected.values()) / len(expected)
    assert macro_auroc(probabilities, torch.tensor(labels)) == pytest.approx(mean)


def test_one_class_alone_has_no_auroc():
    with pytest.raises(ValueError, match="labels must hold at least two classes, got only class 1"):
        macro_auroc(torch.eye(2), torch.tensor([1, 1]))
    summary = summarize_classification(torch.eye(2), torch.tensor([1, 1]))
    assert summary[:3] == (2, 0.5, 0.5)
    assert math.isnan(summary.macro_auroc)


def test_summary_of_known_answers():
    probabilities = torch.tensor([[0.9, 0.1, 0.0], [0.9, 0.1, 0.0], [0.2, 0.8, 0.0], [0.9, 0.1, 0.0]])
    summary = summarize_classification(probabilities, torch.tensor([0, 0, 1, 1]))
    assert summary[:4] == (4, 0.75, 0.75, 0.75)
    assert summary.expected_calibration_error == pytest.approx(0.75 * (0.9 - 2 / 3) + 0.25 * 0.2)
