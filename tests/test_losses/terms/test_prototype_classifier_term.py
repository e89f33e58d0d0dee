from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from toy_step import CLASSES, DIM, toy_network, toy_step

from monai_proto.losses.terms import UNLABELLED, PrototypeClassifierTerm

K = 2


def unit(row: np.ndarray) -> np.ndarray:
    return row / np.linalg.norm(row)


def rows_and_labels(projection: torch.Tensor, labels: torch.Tensor) -> tuple[list[np.ndarray], list[int]]:
    """Unit rows, voxel by voxel; the grid is half the image's, and a cell has the label of the voxel at its middle."""
    rows, classes = [], []
    for b in range(projection.shape[0]):
        for x in range(projection.shape[2]):
            for y in range(projection.shape[3]):
                rows.append(unit(projection[b, :, x, y].detach().double().numpy()))
                classes.append(int(labels[b, 0, 2 * x + 1, 2 * y + 1]))
    return rows, classes


def slow_move(prototypes: np.ndarray, moved: np.ndarray, rows, classes, momentum: float) -> None:
    """Sinkhorn and Knopp class by class, then the moving average prototype by prototype; in place."""
    for c in range(CLASSES):
        own = [row for row, label in zip(rows, classes, strict=True) if label == c]
        if not own:
            continue
        shares = np.exp(np.array([[row @ p for p in prototypes[c]] for row in own]) / 0.05)
        for _ in range(3):
            shares /= shares.sum(0, keepdims=True)
            shares /= shares.sum(1, keepdims=True)
        for k in range(K):
            mine = [row for row, share in zip(own, shares, strict=True) if share.argmax() == k]
            if mine:
                mean = unit(np.sum(mine, axis=0))
                kept = momentum if moved[c, k] else 0.0
                prototypes[c, k] = unit(kept * prototypes[c, k] + (1 - kept) * mean)
                moved[c, k] = True


def slow_loss(prototypes: np.ndarray, rows, classes, temperature: float) -> float:
    losses = []
    for row, label in zip(rows, classes, strict=True):
        if label >= 0:
            scores = [max(row @ p for p in prototypes[c]) / temperature for c in range(CLASSES)]
            losses.append(math.log(sum(math.exp(s - max(scores)) for s in scores)) + max(scores) - scores[label])
    return sum(losses) / len(losses)


def test_two_steps_against_loops():
    term = PrototypeClassifierTerm(CLASSES, DIM, K, momentum=0.7, temperature=0.2)
    network, teacher = toy_network(0), toy_network(5)
    prototypes = term.prototypes.double().numpy().copy()
    moved = np.zeros((CLASSES, K), bool)
    np.testing.assert_allclose(np.linalg.norm(prototypes, axis=-1), 1, rtol=1e-6)
    for seed in (1, 2):
        step = toy_step(term.views, network, seed=seed, teacher=teacher, confidence_floor=0.4)
        step.labels[0] = -1  # an image without labels moves nothing
        value = term(step)
        labelled = rows_and_labels(step.student().projection, step.labels)
        second = rows_and_labels(step.student(UNLABELLED).projection, step.get(UNLABELLED.labels))
        slow_move(prototypes, moved, *labelled, momentum=0.7)
        np.testing.assert_allclose(term.prototypes.numpy(), prototypes, atol=1e-5)
        assert (term.moved.numpy() == moved).all()
        expected = slow_loss(prototypes, *labelled, 0.2) + slow_loss(prototypes, *second, 0.2)
        assert value.item() == pytest.approx(expected, rel=1e-4)
    value.backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.projection_head.parameters())


def test_a_class_that_is_not_there_keeps_its_prototypes():
    term = PrototypeClassifierTerm(CLASSES, DIM, K)
    before = term.prototypes.clone()
    step = toy_step(term.views)
    step.labels = torch.where(step.labels == 2, 1, step.labels)
    term(step)
    assert torch.equal(term.prototypes[2], before[2])
    assert not term.moved[2].any()
    assert (term.prototypes[:2] != before[:2]).all()


def test_without_any_label_it_is_zero():
    term = PrototypeClassifierTerm(CLASSES, DIM, K)
    step = toy_step(term.views, confidence_floor=1.0)
    step.labels = torch.full_like(step.labels, -1)
    assert term(step) == 0
    assert not term.moved.any()


def test_a_checkpoint_restores_the_prototypes():
    term, other = PrototypeClassifierTerm(CLASSES, DIM, K), PrototypeClassifierTerm(CLASSES, DIM, K)
    term(toy_step(term.views))
    other.load_state_dict(term.state_dict())
    assert torch.equal(term.prototypes, other.prototypes)
    assert torch.equal(term.moved, other.moved)
