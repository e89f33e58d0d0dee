from __future__ import annotations

from itertools import pairwise, permutations
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from ignite.engine import Engine
from ignite.metrics import EpochMetric
from monai.metrics import compute_roc_auc

from monai_proto.metrics import (
    area_under_generalized_risk_coverage,
    area_under_risk_coverage,
    risk_coverage_curve,
)

AREAS = [area_under_risk_coverage, area_under_generalized_risk_coverage]
GOLDEN = np.load(Path(__file__).parents[1] / "data" / "risk_coverage.npz")


def curve_over_all_orders(uncertainty, errors):
    """Mean of the curves of all orders that sort the cases by uncertainty."""
    curves = []
    for order in permutations(range(len(errors))):
        if all(uncertainty[a] <= uncertainty[b] for a, b in pairwise(order)):
            curves.append([sum(errors[i] for i in order[:k]) / k for k in range(1, len(order) + 1)])
    return torch.tensor(curves, dtype=torch.float64).mean(0)


cases = st.lists(st.tuples(st.sampled_from([0.1, 0.2, 0.5]), st.booleans()), min_size=1, max_size=6)


@settings(max_examples=40, deadline=None)
@given(cases)
def test_curve_is_the_expectation_over_the_orders_of_tied_cases(cases):
    uncertainty, errors = zip(*cases, strict=True)
    coverage, risk = risk_coverage_curve(torch.tensor(uncertainty), torch.tensor(errors))
    torch.testing.assert_close(risk, curve_over_all_orders(uncertainty, [float(e) for e in errors]))
    torch.testing.assert_close(coverage, torch.arange(1, len(cases) + 1, dtype=torch.float64) / len(cases))


@settings(max_examples=40, deadline=None)
@given(cases, st.randoms(use_true_random=False))
def test_order_of_the_cases_does_not_matter(cases, random):
    shuffled = random.sample(cases, len(cases))
    for area in AREAS:
        areas = [area(*map(torch.tensor, zip(*c, strict=True))) for c in (cases, shuffled)]
        assert areas[0] == pytest.approx(areas[1])


def generalized_area_by_pairs(uncertainty, errors):
    """
    The probability that, of two cases drawn with repeats, the first is wrong and at least as sure as the second: it is
    answered whenever the second one is. Ties are halved.
    """
    total = 0.0
    for first, error in zip(uncertainty, errors, strict=True):
        for second in uncertainty:
            total += error * ((first < second) + 0.5 * (first == second))
    return total / len(errors) ** 2


@settings(max_examples=60, deadline=None)
@given(cases)
def test_generalized_area_is_the_loop_over_pairs(cases):
    uncertainty, errors = zip(*cases, strict=True)
    ours = area_under_generalized_risk_coverage(torch.tensor(uncertainty), torch.tensor(errors))
    assert ours == pytest.approx(generalized_area_by_pairs(uncertainty, errors))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=2, max_size=40))
def test_generalized_area_is_the_paper_s_closed_form(cases):
    """``(1 - AUROC) a (1 - a) + (1 - a)^2 / 2`` (Traub et al., NeurIPS 2024)."""
    uncertainty, errors = map(torch.tensor, zip(*cases, strict=True))
    accuracy = 1 - float(errors.double().mean())
    auroc = 0.0 if accuracy in (0, 1) else compute_roc_auc(uncertainty.float(), errors.long())
    expected = (1 - auroc) * accuracy * (1 - accuracy) + (1 - accuracy) ** 2 / 2
    assert area_under_generalized_risk_coverage(uncertainty.float(), errors) == pytest.approx(expected)


@pytest.mark.parametrize("cases", [2, 7, 50, 2000])
def test_areas_are_those_of_torch_uncertainty(cases):
    """Its areas are over 1/N .. 1, divided by the length; ours have the rest of 0 .. 1, too."""
    probabilities, labels = (torch.from_numpy(GOLDEN[f"{cases}/{name}"]) for name in ("probabilities", "labels"))
    confidence, answers = probabilities.max(1)
    uncertainty, errors = 1 - confidence.double(), answers != labels
    _, risk = risk_coverage_curve(uncertainty, errors)
    length = 1 - 1 / cases
    aurc = float(GOLDEN[f"{cases}/aurc"]) * length + float(risk[0] + risk[-1]) / (2 * cases)
    assert area_under_risk_coverage(uncertainty, errors) == pytest.approx(aurc, abs=1e-6)
    augrc = float(GOLDEN[f"{cases}/augrc"]) * length + float(risk[0]) / cases / (2 * cases)
    assert area_under_generalized_risk_coverage(uncertainty, errors) == pytest.approx(augrc, abs=1e-6)
    if cases == 2000:  # with many cases nothing is left of the difference
        ours = [area(uncertainty, errors) for area in AREAS]
        assert ours == pytest.approx([float(GOLDEN["2000/aurc"]), float(GOLDEN["2000/augrc"])], abs=5e-4)


@pytest.mark.parametrize("area", AREAS)
def test_ignite_makes_an_area_a_metric_of_an_engine(area):
    generator = torch.Generator().manual_seed(0)
    uncertainty, errors = torch.rand(24, generator=generator), torch.rand(24, generator=generator) > 0.5
    engine = Engine(lambda _, batch: {"uncertainty": batch[0], "error": batch[1]})
    EpochMetric(area, lambda output: (output["uncertainty"], output["error"])).attach(engine, "area")
    engine.run(list(zip(uncertainty.split(8), errors.split(8), strict=True)))
    assert engine.state.metrics["area"] == pytest.approx(area(uncertainty, errors))


def test_known_curve():
    coverage, risk = risk_coverage_curve(torch.tensor([0.4, 0.1, 0.3, 0.2]), torch.tensor([1, 0, 1, 0]))
    assert coverage.tolist() == [0.25, 0.5, 0.75, 1.0]
    assert risk.tolist() == pytest.approx([0, 0, 1 / 3, 0.5])


def test_examples_of_the_docstrings():
    uncertainty, errors = torch.tensor([0.4, 0.1, 0.3, 0.2]), torch.tensor([1, 0, 1, 0])
    assert [area(uncertainty, errors) for area in AREAS] == pytest.approx([5 / 24, 0.125])


def test_an_uncertainty_that_says_nothing_gives_the_error_rate():
    errors = torch.tensor([True, False, False, False, True])
    assert area_under_risk_coverage(torch.full((5,), 0.3), errors) == pytest.approx(0.4)
    assert area_under_generalized_risk_coverage(torch.full((5,), 0.3), errors) == pytest.approx(0.2)


@pytest.mark.parametrize("area", AREAS)
def test_ranking_errors_last_is_best_and_first_is_worst(area):
    errors = torch.tensor([0, 0, 0, 1, 0, 1])
    best, worst = area(errors.float(), errors), area(-errors.float(), errors)
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        assert best - 1e-9 <= area(torch.rand(6, generator=generator), errors) <= worst + 1e-9


@pytest.mark.parametrize(
    ("uncertainty", "errors", "message"),
    [
        (torch.zeros(0), torch.zeros(0), r"uncertainty must have shape \(N,\) with N at least 1, got \(0,\)"),
        (torch.zeros(3, 1), torch.zeros(3), r"uncertainty must have shape .* got \(3, 1\)"),
        (torch.zeros(3), torch.zeros(2), r"errors must have shape \(3,\), one for each case, got \(2,\)"),
        (torch.tensor([0.1, torch.nan]), torch.zeros(2), "uncertainty must be finite"),
        (torch.zeros(2), torch.tensor([0.1, torch.inf]), "errors must be finite"),
    ],
)
def test_bad_input(uncertainty, errors, message):
    with pytest.raises(ValueError, match=message):
        risk_coverage_curve(uncertainty, errors)
