from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from monai_proto.networks.blocks import PatchEvidence


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 3), st.integers(1, 5), st.integers(1, 6), st.integers(1, 8), st.integers(0, 999))
def test_evidence_is_the_mean_of_the_best_patches(images, prototypes, patches, top_k, seed):
    similarities = torch.randn(images, prototypes, patches, generator=torch.Generator().manual_seed(seed))
    evidence, places = PatchEvidence(top_k).pool(similarities)
    for b in range(images):
        for m in range(prototypes):
            best = sorted(similarities[b, m].tolist(), reverse=True)[:top_k]
            assert float(evidence[b, m]) == pytest.approx(sum(best) / len(best), abs=1e-6)
            assert sorted(similarities[b, m, places[b, m]].tolist(), reverse=True) == pytest.approx(best)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 3), st.integers(1, 5), st.integers(1, 4), st.integers(0, 999))
def test_logits_are_the_written_out_sum_of_contributions(images, prototypes, classes, seed):
    generator = torch.Generator().manual_seed(seed)
    evidence = torch.randn(images, prototypes, generator=generator)
    weights = torch.randn(classes, prototypes, generator=generator)
    bias, log_scale = torch.randn(classes, generator=generator), torch.randn((), generator=generator)
    part = PatchEvidence()
    logits = part.weigh(evidence, weights, bias, log_scale)
    contributions = part.contributions(evidence, weights, log_scale)
    scale = math.exp(float(log_scale)) * classes / prototypes
    for b in range(images):
        for c in range(classes):
            terms = [scale * float(weights[c, m]) * float(evidence[b, m]) for m in range(prototypes)]
            assert float(logits[b, c]) == pytest.approx(float(bias[c]) + sum(terms), abs=1e-4)
            assert contributions[b, c].tolist() == pytest.approx(terms, abs=1e-4)


def test_weights_and_scale_at_the_start():
    part = PatchEvidence(logit_scale=2.5, other_class_weight=-0.25)
    assert part.first_weights(torch.tensor([0, 2, 2]), 3).tolist() == [
        [1.0, -0.25, -0.25],
        [-0.25, -0.25, -0.25],
        [-0.25, 1.0, 1.0],
    ]
    assert float(part.first_log_scale().exp()) == pytest.approx(2.5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"top_k": 0}, "top_k must be at least 1, got 0"),
        ({"logit_scale": 0.0}, r"logit_scale must be positive, got 0\.0"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        PatchEvidence(**options)
