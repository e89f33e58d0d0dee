"""The tables of a classification report as plain rows: nothing here knows how a page looks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from monai_proto.metrics import (
    area_under_generalized_risk_coverage,
    area_under_risk_coverage,
    class_aurocs,
    confusion_matrix,
    selective_balanced_accuracy,
    summarize_classification,
)

__all__ = ["class_rows", "confusion_rows", "metric_rows", "missing_class_remarks"]

_COVERAGE = 0.8


def metric_rows(
    probabilities: torch.Tensor, labels: torch.Tensor, uncertainty: torch.Tensor, abstained: torch.Tensor
) -> list[dict[str, Any]]:
    """
    Name, meaning and value of each metric over all cases, and over the ones that were not abstained from (None where it
    has no value).
    """
    everything = summarize_classification(probabilities, labels)
    answered = None
    if not abstained.all():
        answered = summarize_classification(probabilities[~abstained], labels[~abstained])
    meanings = {
        "cases": ("Cases", ""),
        "balanced_accuracy": ("Balanced accuracy", "mean recall over the classes"),
        "accuracy": ("Accuracy", "share of right answers"),
        "macro_auroc": ("Macro AUROC", "mean over the classes, each against the rest"),
        "expected_calibration_error": ("ECE", "gap between confidence and accuracy, 15 bins; lower is better"),
    }
    rows = [
        {
            "name": name,
            "meaning": meaning,
            "all": getattr(everything, field),
            "answered": None if answered is None else getattr(answered, field),
        }
        for field, (name, meaning) in meanings.items()
    ]
    answers = probabilities.argmax(1)
    wrong = answers != labels
    rows += [
        {
            "name": "AURC",
            "meaning": "area under the risk-coverage curve; lower is better",
            "all": area_under_risk_coverage(uncertainty, wrong),
            "answered": None,
        },
        {
            "name": "AUGRC",
            "meaning": "the same with the share of all cases that are answered and wrong as the risk; lower is better",
            "all": area_under_generalized_risk_coverage(uncertainty, wrong),
            "answered": None,
        },
    ]
    selective = selective_balanced_accuracy(answers, labels, uncertainty, probabilities.shape[1], _COVERAGE)
    rows.append(
        {
            "name": f"Balanced accuracy, surest {_COVERAGE:.0%}",
            "meaning": f"over {selective.kept} cases, whatever the threshold",
            "all": selective.value,
            "answered": None,
        }
    )
    return rows


def missing_class_remarks(labels: torch.Tensor, abstained: torch.Tensor, names: Sequence[str]) -> list[str]:
    """What to know before numbers are compared: classes without a case, at all or after abstention."""
    total = torch.bincount(labels, minlength=len(names))
    answered = torch.bincount(labels[~abstained], minlength=len(names))
    absent = [name for name, count in zip(names, total, strict=True) if count == 0]
    vanished = [name for name, a, b in zip(names, total, answered, strict=True) if a > 0 and b == 0]
    remarks = []
    if absent:
        remarks.append(f"No case is of {', '.join(absent)}: no figure says anything of it.")
    if vanished and not abstained.all():
        remarks.append(
            f"Every case of {', '.join(vanished)} was abstained from: figures without the abstained cases leave it out "
            "and are not to be compared with those of all cases."
        )
    return remarks


def class_rows(
    probabilities: torch.Tensor, labels: torch.Tensor, abstained: torch.Tensor, names: Sequence[str]
) -> list[dict[str, Any]]:
    """Cases, recall, precision, AUROC and abstained share of each class over all cases (None where it has none)."""
    matrix = confusion_matrix(probabilities.argmax(1), labels, len(names))
    aurocs = class_aurocs(probabilities, labels)
    left_out = torch.bincount(labels[abstained], minlength=len(names))
    return [
        {
            "name": name,
            "cases": int(matrix[c].sum()),
            "recall": _share(matrix[c, c], matrix[c].sum()),
            "precision": _share(matrix[c, c], matrix[:, c].sum()),
            "auroc": float(aurocs[c]),
            "abstained": _share(left_out[c], matrix[c].sum()),
        }
        for c, name in enumerate(names)
    ]


def confusion_rows(answers: torch.Tensor, labels: torch.Tensor, names: Sequence[str]) -> list[dict[str, Any]]:
    """For each true class its name and, for each answer, the count and the share of the class's cases."""
    matrix = confusion_matrix(answers, labels, len(names))
    return [
        {
            "name": name,
            "cells": [
                {"count": int(n), "share": _share(n, row.sum()), "own": c == other} for other, n in enumerate(row)
            ],
        }
        for c, (name, row) in enumerate(zip(names, matrix, strict=True))
    ]


def _share(part: torch.Tensor, whole: torch.Tensor) -> float | None:
    return float(part / whole) if whole > 0 else None
