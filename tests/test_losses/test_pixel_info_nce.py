from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from monai_proto.losses.pixel_info_nce import PixelInfoNCELoss, pixel_info_nce


def loop_loss(anchors, positives, negatives, temperature):
    """The formula of the specification, term by term."""

    def cos(a, b):
        dot = sum(x * y for x, y in zip(a, b, strict=True))
        return dot / math.sqrt(sum(x * x for x in a)) / math.sqrt(sum(y * y for y in b))

    terms = []
    for a, p in zip(anchors.tolist(), positives.tolist(), strict=True):
        positive = math.exp(cos(a, p) / temperature)
        others = sum(math.exp(cos(a, n) / temperature) for n in negatives.tolist())
        terms.append(-math.log(positive / (positive + others)))
    return sum(terms) / len(terms)


@settings(max_examples=40, deadline=None)
@given(
    rows=st.integers(1, 6),
    negatives=st.integers(0, 7),
    temperature=st.sampled_from([0.05, 0.1, 1.0]),
    seed=st.integers(0, 99),
)
def test_matches_the_formula(rows, negatives, temperature, seed):
    torch.manual_seed(seed)
    anchors, positives = torch.randn(rows, 5), torch.randn(rows, 5)
    others = torch.randn(negatives, 5)
    loss = PixelInfoNCELoss(temperature)(anchors, positives, others)
    assert loss.item() == pytest.approx(loop_loss(anchors, positives, others, temperature), rel=1e-4, abs=1e-5)


def test_golden_value():
    loss = PixelInfoNCELoss(temperature=1.0)(torch.eye(2), torch.eye(2), torch.tensor([[-1.0, 0.0]]))
    # anchors (1, 0) and (0, 1): log(1 + e^(-1 - 1)) and log(1 + e^(0 - 1))
    assert loss.item() == pytest.approx((math.log1p(math.exp(-2)) + math.log1p(math.exp(-1))) / 2)


def test_length_of_rows_does_not_matter_and_tiny_temperatures_stay_finite():
    torch.manual_seed(0)
    rows = torch.randn(4, 8), torch.randn(4, 8), torch.randn(9, 8)
    torch.testing.assert_close(pixel_info_nce(*rows), pixel_info_nce(*(100 * r for r in rows)))
    assert torch.isfinite(pixel_info_nce(*rows, temperature=1e-4))


@pytest.mark.parametrize(("rows", "negatives"), [(0, 5), (3, 0), (0, 0)])
def test_without_anchors_or_negatives_a_zero_that_keeps_the_graph(rows, negatives):
    anchors = torch.randn(rows, 4, requires_grad=True)
    others = torch.randn(negatives, 4, requires_grad=True)
    loss = PixelInfoNCELoss()(anchors, torch.randn(rows, 4), others)
    assert loss.item() == 0
    loss.backward()
    assert torch.equal(anchors.grad, torch.zeros(rows, 4))
    assert torch.equal(others.grad, torch.zeros(negatives, 4))


@pytest.mark.parametrize("masked_loss", [PixelInfoNCELoss(), pixel_info_nce])
def test_masked_rows_are_as_if_they_were_not_there(masked_loss):
    torch.manual_seed(1)
    anchors, positives, negatives = (torch.randn(n, 6, requires_grad=True) for n in (7, 7, 10))
    anchor_mask, negative_mask = torch.rand(7) < 0.5, torch.rand(10) < 0.5
    masked = masked_loss(anchors, positives, negatives, anchor_mask=anchor_mask, negative_mask=negative_mask)
    plain = PixelInfoNCELoss()(anchors[anchor_mask], positives[anchor_mask], negatives[negative_mask])
    torch.testing.assert_close(masked, plain)
    wanted = torch.autograd.grad(plain, [anchors, positives, negatives])
    for got, expected in zip(torch.autograd.grad(masked, [anchors, positives, negatives]), wanted, strict=True):
        torch.testing.assert_close(got, expected)


@pytest.mark.parametrize("which", ["anchors", "negatives", "both"])
@pytest.mark.parametrize("masked_loss", [PixelInfoNCELoss(), pixel_info_nce])
def test_all_rows_masked_gives_zero_and_finite_gradients(which, masked_loss):
    rows = [torch.randn(n, 6, requires_grad=True) for n in (3, 3, 4)]
    none_a, none_n = torch.zeros(3, dtype=torch.bool), torch.zeros(4, dtype=torch.bool)
    masks = {"anchors": (none_a, ~none_n), "negatives": (~none_a, none_n), "both": (none_a, none_n)}[which]
    loss = masked_loss(*rows, anchor_mask=masks[0], negative_mask=masks[1])
    assert loss.item() == pytest.approx(0, abs=1e-6)
    loss.backward()
    for row in rows:
        torch.testing.assert_close(row.grad, torch.zeros_like(row))


def test_half_precision_and_autocast_are_computed_in_float32():
    torch.manual_seed(2)
    rows = [torch.randn(n, 16).bfloat16() for n in (5, 5, 12)]
    expected = pixel_info_nce(*(row.float() for row in rows))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = pixel_info_nce(*rows)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, expected)


def test_descent_brings_anchors_to_positives_and_away_from_negatives():
    torch.manual_seed(3)
    anchors, positives, negatives = torch.randn(8, 4, requires_grad=True), torch.randn(8, 4), torch.randn(6, 4)
    before = torch.cosine_similarity(anchors, positives).mean().item()
    optimizer = torch.optim.Adam([anchors], lr=0.05)
    for _ in range(60):
        optimizer.zero_grad()
        loss = pixel_info_nce(anchors, positives, negatives, temperature=0.5)
        loss.backward()
        optimizer.step()
    assert torch.cosine_similarity(anchors, positives).mean().item() > max(before, 0.5)


def test_refuses_shapes_that_do_not_fit():
    loss, rows = PixelInfoNCELoss(), torch.randn(3, 4)
    with pytest.raises(ValueError, match=r"temperature must be above 0, got 0"):
        PixelInfoNCELoss(0)
    with pytest.raises(ValueError, match=r"anchors must have shape \(N, D\), got \(3, 4, 1\)"):
        loss(rows.unsqueeze(-1), rows, rows)
    with pytest.raises(ValueError, match=r"positives must have a row for each anchor, \(3, 4\), got \(2, 4\)"):
        loss(rows, rows[:2], rows)
    with pytest.raises(ValueError, match=r"negatives must have shape \(N, 4\)"):
        loss(rows, rows, torch.randn(3, 5))
    with pytest.raises(ValueError, match=r"negative_mask must be bool \(3,\)"):
        loss(rows, rows, rows, negative_mask=torch.ones(2, dtype=torch.bool))
