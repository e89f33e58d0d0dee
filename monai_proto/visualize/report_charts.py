"""Curves of a classification report: how far probabilities and uncertainties can be trusted."""

from __future__ import annotations

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from monai_proto.metrics import reliability_curve, risk_coverage_curve

__all__ = ["draw_reliability", "draw_risk_coverage"]

_OURS, _IDEAL = "#0072b2", "#6b7680"
_SIZE = (5.2, 4.2)  # inches


def draw_reliability(probabilities: torch.Tensor, labels: torch.Tensor) -> Figure:
    """
    Accuracy over confidence in 15 bins, and below it how many answers each bin holds.

    Args:
        probabilities: of the classes (N, C), rows with sum 1.
        labels: true classes (N,).
    """
    curve = reliability_curve(probabilities, labels)
    num_bins = len(curve.counts)
    figure = Figure(figsize=_SIZE, layout="constrained")
    axes, histogram = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    filled = (curve.counts > 0).nonzero().flatten()
    centres = ((filled + 0.5) / num_bins).numpy()
    confidence, accuracy, counts = (values[filled].numpy() for values in curve)
    axes.plot([0, 1], [0, 1], color=_IDEAL, linestyle="dashed", label="calibrated")
    axes.bar(centres, accuracy, 0.9 / num_bins, color=_OURS, alpha=0.35, label="accuracy of a bin")
    axes.plot(confidence, accuracy, "o", color=_OURS, label="at its mean confidence")
    axes.set(xlim=(0, 1), ylim=(0, 1.02), ylabel="accuracy")
    histogram.bar(centres, counts, 0.9 / num_bins, color=_OURS)
    histogram.set(xlabel="confidence: probability of the answer", ylabel="answers")
    for part in (axes, histogram):
        _tidy(part)
    axes.legend(loc="upper left", frameon=False)
    return figure


def draw_risk_coverage(uncertainty: torch.Tensor, wrong: torch.Tensor, abstained: torch.Tensor) -> Figure:
    """
    Error rate of the surest cases over their share of all cases, with the best curve that any uncertainty could reach,
    and the point at which the classifier abstains.

    Args:
        uncertainty: (N,), higher is less sure.
        wrong: bool (N,), wrong answers.
        abstained: bool (N,).
    """
    figure = Figure(figsize=_SIZE, layout="constrained")
    axes = figure.subplots()
    coverage, risk = risk_coverage_curve(uncertainty, wrong)
    _, best = risk_coverage_curve(wrong.double(), wrong)
    axes.plot(coverage, risk, color=_OURS, linewidth=2, label="surest answers")
    axes.plot(coverage, best, color=_IDEAL, linestyle="dotted", label="best possible: errors last")
    error = float(wrong.double().mean())
    axes.axhline(error, color=_IDEAL, linestyle="dashed", label=f"all answers: {error:.3f}")
    if abstained.any() and not abstained.all():
        answered = float((~abstained).double().mean()), float(wrong[~abstained].double().mean())
        axes.plot(*answered, "o", color="#b00020", markersize=8, label=f"without the abstained: {answered[1]:.3f}")
    top = max(float(risk.max()), error, 0.02)
    axes.set(xlim=(0, 1), ylim=(0, 1.45 * top), xlabel="coverage: share of cases answered", ylabel="risk: error rate")
    _tidy(axes)
    axes.legend(loc="upper left", frameon=False)
    return figure


def _tidy(axes: Axes) -> None:
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
