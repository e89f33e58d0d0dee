from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from monai_proto.networks.blocks import AbstentionShare
from monai_proto.networks.blocks.answer_uncertainty import answer_entropy


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 4), st.integers(2, 6), st.integers(0, 999))
def test_entropy_is_that_of_the_softmax_between_0_and_1(images, classes, seed):
    logits = 3 * torch.randn(images, classes, generator=torch.Generator().manual_seed(seed))
    for found, row in zip(answer_entropy(logits).tolist(), logits.double().tolist(), strict=True):
        total = sum(math.exp(z) for z in row)
        shares = [math.exp(z) / total for z in row]
        assert found == pytest.approx(-sum(p * math.log(p) for p in shares) / math.log(classes), abs=1e-5)
        assert -1e-6 <= found <= 1 + 1e-6


def test_a_single_class_is_sure():
    assert answer_entropy(torch.randn(3, 1)).tolist() == [0.0, 0.0, 0.0]


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 4), st.integers(1, 5), st.integers(0, 999))
def test_share_is_that_of_one_more_class(images, classes, seed):
    generator = torch.Generator().manual_seed(seed)
    logits, similarity = torch.randn(images, classes, generator=generator), torch.rand(images, generator=generator)
    bias, log_scale = torch.tensor(-0.5), torch.tensor(1.25)
    share = AbstentionShare()(logits, similarity, bias, log_scale)
    for b in range(images):
        own = math.exp(math.exp(1.25) * (float(similarity[b]) - 0.5))
        others = sum(math.exp(z) for z in logits[b].tolist())
        assert float(share[b]) == pytest.approx(own / (own + others), abs=1e-5)


def test_a_negative_start_keeps_the_share_small():
    logits, similarity, log_scale = torch.zeros(1, 2), torch.ones(1), torch.tensor(math.log(5.0))
    shares = [
        float(AbstentionShare(first)(logits, similarity, torch.tensor(AbstentionShare(first).first_bias), log_scale))
        for first in (-1.0, -2.0)
    ]
    assert shares == pytest.approx([1 / 3, math.exp(-5) / (math.exp(-5) + 2)])
