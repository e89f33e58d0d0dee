"""How the error rate falls when the least sure answers are left out."""

from __future__ import annotations

import torch

from monai_proto.metrics.classification_checks import require_case_values

__all__ = ["area_under_generalized_risk_coverage", "area_under_risk_coverage", "risk_coverage_curve"]


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
    AURC: mean of the risk over all coverages, ``1/N sum_k r(k/N)``, see :func:`risk_coverage_curve`. Lower is better;
    an uncertainty that says nothing gives the error rate.

    TorchUncertainty's ``AURC`` takes the trapezoids between 1/N and 1, the maximum softmax as the only confidence, and
    tied cases in the order of a sort; this takes any uncertainty, and ties as they are.

    Args:
        uncertainty: (N,), higher is less sure.
        errors: (N,), 1 or True for a wrong answer.

    Raises:
        ValueError: as :func:`risk_coverage_curve`.

    Example::

        area_under_risk_coverage(torch.tensor([0.4, 0.1, 0.3, 0.2]), torch.tensor([1, 0, 1, 0]))  # 0.2083
        # over an epoch and all processes: an ignite metric of an engine whose output has both
        EpochMetric(area_under_risk_coverage, lambda output: (output["uncertainty"], output["error"]))
    """
    return float(risk_coverage_curve(uncertainty, errors)[1].mean())


def area_under_generalized_risk_coverage(uncertainty: torch.Tensor, errors: torch.Tensor) -> float:
    """
    AUGRC: mean over all coverages of the risk times the coverage, the share of all cases that are answered and wrong
    (Traub et al., "Overcoming Common Flaws in the Evaluation of Selective Classification Systems", NeurIPS 2024).

    ``int_0^1 c r(c) dc``, by the trapezoids between the coverages 0, 1/N, .. 1 (where no case is answered, none is
    wrong), which for right and wrong answers is ``(1 - AUROC) a (1 - a) + (1 - a)^2 / 2`` with the accuracy a and the
    AUROC of wrong against right answers. Lower is better; an uncertainty that says nothing gives half of the error
    rate. The AURC weighs the few surest cases most, whose errors are in the risk of every coverage; here an error
    counts for the share of coverages at which it is answered.

    TorchUncertainty's ``AUGRC`` leaves out the first trapezoid, see :func:`area_under_risk_coverage` for the rest.

    Args:
        uncertainty: (N,), higher is less sure.
        errors: (N,), 1 or True for a wrong answer, or any other finite cost of a case.

    Raises:
        ValueError: as :func:`risk_coverage_curve`.

    Example::

        area_under_generalized_risk_coverage(torch.tensor([0.4, 0.1, 0.3, 0.2]), torch.tensor([1, 0, 1, 0]))  # 0.125
        EpochMetric(area_under_generalized_risk_coverage, lambda output: (output["uncertainty"], output["error"]))
    """
    coverage, risk = risk_coverage_curve(uncertainty, errors)
    generalized = torch.cat([risk.new_zeros(1), coverage * risk])
    return float(torch.trapezoid(generalized, dx=1 / len(risk)))
