"""
Makes ``risk_coverage.npz``: what TorchUncertainty's ``AURC`` and ``AUGRC`` give for random classifiers. Run where
TorchUncertainty is installed (``pip install "torch-uncertainty[cpu]"``), not in the project's environment:

    python tests/data/risk_coverage.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch_uncertainty.metrics.classification import AUGRC, AURC

_CASES = ((2, 2), (7, 3), (50, 4), (2000, 7))  # cases, classes


def main() -> None:
    """Probabilities with as many digits as float32 has: no two cases are tied, whose order would be left to chance."""
    arrays = {}
    generator = torch.Generator().manual_seed(0)
    for cases, num_classes in _CASES:
        labels = torch.randint(0, num_classes, (cases,), generator=generator)
        logits = torch.randn(cases, num_classes, generator=generator)
        logits[torch.arange(cases), labels] += 1.0
        probabilities = logits.softmax(dim=1)
        confidence = probabilities.amax(dim=1)
        assert len(confidence.unique()) == cases, f"tied cases among {cases}"
        for name, metric in (("aurc", AURC()), ("augrc", AUGRC())):
            metric.update(probabilities, labels)
            arrays[f"{cases}/{name}"] = metric.compute().numpy()
        arrays[f"{cases}/probabilities"], arrays[f"{cases}/labels"] = probabilities.numpy(), labels.numpy()
    np.savez_compressed(Path(__file__).parent / "risk_coverage.npz", **arrays)


if __name__ == "__main__":
    main()
