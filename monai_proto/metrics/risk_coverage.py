"""How the error rate falls when the least sure answers are left out."""

from __future__ import annotations

import torch

from monai_proto.metrics.classification_checks import require_case_values

__all__ = ["area_under_risk_coverage", "risk_coverage_curve"]


def risk_coverage_curve(uncertainty: torch.Tensor, errors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """
    Mean error of the surest k cases, for every k (Geifman and El-Yaniv, "Selective Classification for Deep Neural
    Networks", NeurIPS 2017).

    Cases of equal uncertainty count with their mean error: the curve is the expectation over all their orders, so that
    neither the order of the cases nor a constant uncertainty makes it better or worse.

    Args:
        uncertainty: (N,), higher is less sure.
        errors: (N,), 1 or True for a wrong answer, or any other finite cost of a case.

    Returns:
        coverage: 1/N, 2/N, .. 1 (N,), float64.
        risk: (N,), float64; the last one is the error over all cases.

    Raises:
        ValueError: when there is no case, the shapes differ, or a value is not finite.
    """
    require_case_values(uncertainty, None, "uncertainty")
    require_case_values(errors, len(uncertainty), "errors")
    ranked, order = uncertainty.sort()
    _, group, sizes = ranked.unique_consecutive(return_inverse=True, return_counts=True)
    mean_error = torch.bincount(group, weights=errors[order].double()) / sizes
    kept = torch.arange(1, len(ranked) + 1, dtype=torch.float64, device=ranked.device)
    return kept / len(ranked), mean_error[group].cumsum(0) / kept


def area_under_risk_coverage(uncertainty: torch.Tensor, errors: torch.Tensor) -> float:
    """
    AURC: mean of the risk over all coverages, see :func:`risk_coverage_curve`. Lower is better; an uncertainty that
    says nothing gives the error rate.

    Args:
        uncertainty: (N,), higher is less sure.
        errors: (N,), 1 or True for a wrong answer.

    Raises:
        ValueError: as :func:`risk_coverage_curve`.
    """
    return float(risk_coverage_curve(uncertainty, errors)[1].mean())
