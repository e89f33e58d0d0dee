from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from monai_proto.losses import balanced_assignment


def slow_assignment(cosines: list[list[float]]) -> list[int]:
    """One class: every prototype's column is divided by its sum, every row by its own, three times."""
    shares = [[math.exp(value / 0.05) for value in row] for row in cosines]
    for _ in range(3):
        columns = [sum(row[k] for row in shares) for k in range(len(shares[0]))]
        shares = [[value / columns[k] for k, value in enumerate(row)] for row in shares]
        shares = [[value / sum(row) for value in row] for row in shares]
    return [row.index(max(row)) for row in shares]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), rows=st.integers(1, 30), prototypes=st.integers(1, 4), classes=st.integers(1, 3))
def test_each_class_is_assigned_as_if_it_were_alone(seed, rows, prototypes, classes):
    generator = torch.Generator().manual_seed(seed)
    cosines = torch.rand(rows, prototypes, generator=generator, dtype=torch.float64) * 2 - 1
    labels = torch.randint(0, classes, (rows,), generator=generator)
    assigned = balanced_assignment(cosines, labels, classes)
    for c in range(classes):
        own = labels == c
        if own.any():
            assert assigned[own].tolist() == slow_assignment(cosines[own].float().tolist())


def test_prototypes_share_the_rows_though_one_is_the_nearest_of_all():
    cosines = torch.stack([torch.linspace(0.5, 0.9, 40), torch.full((40,), 0.4)], dim=1)
    labels = torch.zeros(40, dtype=torch.long)
    assert (cosines.argmax(1) == 0).all()
    shares = balanced_assignment(cosines, labels, 1).bincount(minlength=2)
    assert shares.min() >= 10


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_does_not_overflow(dtype):
    cosines = torch.tensor([[1.0, -1.0], [-1.0, 1.0]], dtype=dtype)
    assert balanced_assignment(cosines, torch.tensor([0, 0]), 1).tolist() == [0, 1]
