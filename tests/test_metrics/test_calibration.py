from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from ignite.engine import Engine
from ignite.metrics import EpochMetric

from monai_proto.metrics import expected_calibration_error, reliability_curve


def make_answers(cases, num_classes=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    probabilities = torch.softmax(2 * torch.randn(cases, num_classes, generator=generator), dim=1)
    return probabilities, torch.randint(num_classes, (cases,), generator=generator)


def calibration_error_by_loop(probabilities, labels, num_bins):
    error = 0.0
    for b in range(num_bins):
        members = [
            (float(row.max()), float(row.argmax() == label))
            for row, label in zip(probabilities.numpy(), labels.numpy(), strict=True)
            if b / num_bins < row.max() <= (b + 1) / num_bins
        ]
        if members:
            confidence, accuracy = np.mean(members, axis=0)
            error += abs(confidence - accuracy) * len(members) / len(labels)
    return error


@settings(max_examples=30, deadline=None)
@given(cases=st.integers(1, 40), num_bins=st.integers(1, 20), seed=st.integers(0, 1000))
def test_calibration_error_is_the_loop_over_bins(cases, num_bins, seed):
    probabilities, labels = make_answers(cases, seed=seed)
    expected = calibration_error_by_loop(probabilities, labels, num_bins)
    assert expected_calibration_error(probabilities, labels, num_bins) == pytest.approx(expected, abs=1e-6)


def test_reliability_curve_is_monai_s_where_it_has_one():
    calibration = pytest.importorskip("monai.metrics.calibration", reason="MONAI has calibration from 1.6 on")
    probabilities, labels = make_answers(300)
    confidence, answers = probabilities.max(1)
    binned = calibration.calibration_binning(confidence[None, None], (answers == labels)[None, None].float(), 10)
    for ours, theirs in zip(reliability_curve(probabilities, labels, 10), binned, strict=True):
        torch.testing.assert_close(ours, theirs[0, 0], check_dtype=False, equal_nan=True)
    metric = calibration.CalibrationErrorMetric(num_bins=10)
    metric(confidence[None, None], (answers == labels)[None, None].float())
    assert expected_calibration_error(probabilities, labels, 10) == pytest.approx(float(metric.aggregate()), abs=1e-6)


def test_a_confidence_on_an_edge_counts_in_the_lower_bin():
    probabilities = torch.tensor([[0.6, 0.4], [0.8, 0.2], [1.0, 0.0], [0.5, 0.5]])
    curve = reliability_curve(probabilities, torch.zeros(4).long(), num_bins=5)
    assert curve.counts.tolist() == [0, 0, 2, 1, 1]
    assert curve.accuracy.tolist()[2:] == [1, 1, 1]
    assert curve.confidence.isnan().tolist() == [True, True, False, False, False]


def test_certain_answers_have_the_error_rate_as_calibration_error():
    probabilities = torch.eye(3)[torch.tensor([0, 1, 2, 0])]
    assert expected_calibration_error(probabilities, torch.tensor([0, 1, 2, 1])) == 0.25


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000))
def test_order_of_the_cases_does_not_matter(seed):
    probabilities, labels = make_answers(25, seed=seed)
    order = torch.randperm(25, generator=torch.Generator().manual_seed(seed))
    shuffled = expected_calibration_error(probabilities[order], labels[order])
    assert shuffled == pytest.approx(expected_calibration_error(probabilities, labels))


def test_ignite_makes_it_a_metric_of_an_engine():
    probabilities, labels = make_answers(24)
    engine = Engine(lambda _, batch: batch)
    EpochMetric(expected_calibration_error).attach(engine, "ece")
    engine.run(list(zip(probabilities.split(8), labels.split(8), strict=True)))
    assert engine.state.metrics["ece"] == pytest.approx(expected_calibration_error(probabilities, labels))


@pytest.mark.parametrize(
    ("probabilities", "labels", "message"),
    [
        (torch.full((2, 4), 0.5), torch.zeros(2).long(), r"must sum to 1 in each row, got 2 in row 0"),
        (torch.tensor([[1.2, -0.2]]), torch.zeros(1).long(), r"must be in 0 \.\. 1, got values from -0\.2"),
        (torch.tensor([[torch.nan, 1.0]]), torch.zeros(1).long(), "probabilities must be finite"),
        (torch.zeros(0, 4), torch.zeros(0).long(), r"N at least 1 and C at least 2, got \(0, 4\)"),
        (torch.ones(3), torch.zeros(3).long(), r"must have shape \(N, C\).*got \(3,\)"),
        (torch.ones(3, 1), torch.zeros(3).long(), "C at least 2"),
        (torch.eye(2).long(), torch.zeros(2).long(), "must be floating point, got torch.int64"),
        (torch.eye(2), torch.tensor([0, 2]), r"labels must be in 0 \.\. 1, got values from 0 to 2"),
        (torch.eye(2), torch.tensor([0, -1]), r"labels must be in 0 \.\. 1, got values from -1"),
        (torch.eye(2), torch.zeros(3).long(), r"labels must have shape \(2,\)"),
        (torch.eye(2), torch.zeros(2), "labels must be integers"),
    ],
)
def test_bad_input(probabilities, labels, message):
    with pytest.raises(ValueError, match=message):
        reliability_curve(probabilities, labels)


def test_no_bins():
    with pytest.raises(ValueError, match="num_bins must be at least 1, got 0"):
        expected_calibration_error(torch.eye(2), torch.tensor([0, 1]), num_bins=0)
