from __future__ import annotations

from itertools import pairwise, permutations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from monai_proto.metrics import area_under_risk_coverage, risk_coverage_curve


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
    areas = [area_under_risk_coverage(*map(torch.tensor, zip(*c, strict=True))) for c in (cases, shuffled)]
    assert areas[0] == pytest.approx(areas[1])


def test_known_curve():
    coverage, risk = risk_coverage_curve(torch.tensor([0.4, 0.1, 0.3, 0.2]), torch.tensor([1, 0, 1, 0]))
    assert coverage.tolist() == [0.25, 0.5, 0.75, 1.0]
    assert risk.tolist() == pytest.approx([0, 0, 1 / 3, 0.5])


def test_an_uncertainty_that_says_nothing_gives_the_error_rate():
    errors = torch.tensor([True, False, False, False, True])
    assert area_under_risk_coverage(torch.full((5,), 0.3), errors) == pytest.approx(0.4)


def test_ranking_errors_last_is_best_and_first_is_worst():
    errors = torch.tensor([0, 0, 0, 1, 0, 1])
    best, worst = area_under_risk_coverage(errors.float(), errors), area_under_risk_coverage(-errors.float(), errors)
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        assert best <= area_under_risk_coverage(torch.rand(6, generator=generator), errors) <= worst


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
