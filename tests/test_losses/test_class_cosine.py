from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from monai_proto.losses.class_cosine import class_cosine_sums, class_sums


def sums_by_autograd(features, labels, directions, weights=None):
    """The definition with ordinary operations in float64, differentiated by autograd."""
    cosines = []
    for c in range(len(directions)):
        units = F.normalize(features[labels == c].double(), dim=1)
        w = 1.0 if weights is None else weights[labels == c].double()
        cosines.append((w * (units @ directions[c].double())).sum())
    return torch.stack(cosines)


def make_input(num_rows, dim=7, num_classes=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(num_rows, dim, generator=generator)
    labels = torch.randint(-2, num_classes + 1, (num_rows,), generator=generator)  # -2, -1 and C are ignored
    directions = torch.randn(num_classes, dim, generator=generator)
    return features, labels, directions, torch.rand(num_rows, generator=generator)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("num_rows", [1, 50, 20_000])  # the last takes several blocks
def test_sums_and_all_gradients(num_rows, weighted):
    features, labels, directions, weights = make_input(num_rows)
    upstream = torch.randn(3, generator=torch.Generator().manual_seed(1))
    results = []
    for function in (class_cosine_sums, sums_by_autograd):
        inputs = [
            t.clone().requires_grad_()
            for t in ((features, directions, weights) if weighted else (features, directions))
        ]
        sums = function(inputs[0], labels, *inputs[1:])
        (sums * upstream).sum().backward()
        results.append([sums.detach(), *(t.grad for t in inputs)])
    for ours, expected in zip(*results, strict=True):
        torch.testing.assert_close(ours.double(), expected.double(), rtol=1e-5, atol=1e-5)
    outside = (labels < 0) | (labels >= 3)
    assert not results[0][1][outside].any()


def test_gradients_by_finite_differences():
    features, labels, directions, weights = make_input(20, dim=3)
    features = features.requires_grad_()
    upstream = torch.tensor([1.0, -2.0, 0.5])
    (class_cosine_sums(features, labels, directions, weights) * upstream).sum().backward()
    step = 1e-2
    for i in range(0, 20, 3):
        for d in range(3):
            shift = torch.zeros_like(features)
            shift[i, d] = step
            with torch.no_grad():
                up, down = (class_cosine_sums(features + s, labels, directions, weights) for s in (shift, -shift))
            slope = ((up - down) * upstream).sum() / (2 * step)
            torch.testing.assert_close(features.grad[i, d], slope, rtol=0.02, atol=2e-3)


@pytest.mark.parametrize("only", ["features", "directions", "weights"])
def test_one_input_alone_can_need_a_gradient(only):
    features, labels, directions, weights = make_input(30)
    inputs = {"features": features, "directions": directions, "weights": weights}
    inputs[only].requires_grad_()
    class_cosine_sums(features, labels, directions, weights).sum().backward()
    ours = inputs[only].grad
    inputs[only].grad = None
    sums_by_autograd(features, labels, directions, weights).sum().backward()
    torch.testing.assert_close(ours, inputs[only].grad)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), num_rows=st.integers(1, 60), scale=st.floats(1e-6, 1e6))
def test_length_of_a_row_and_order_of_rows_do_not_matter(seed, num_rows, scale):
    features, labels, directions, weights = make_input(num_rows, seed=seed)
    expected = class_cosine_sums(features, labels, directions, weights)
    torch.testing.assert_close(
        class_cosine_sums(features * scale, labels, directions, weights), expected, rtol=0, atol=1e-5
    )
    order = torch.randperm(num_rows, generator=torch.Generator().manual_seed(seed))
    shuffled = class_cosine_sums(features[order], labels[order], directions, weights[order])
    torch.testing.assert_close(shuffled, expected, rtol=0, atol=1e-5)


def test_zero_rows_and_no_rows_give_zero_and_no_nan():
    features = torch.zeros(4, 3, requires_grad=True)
    sums = class_cosine_sums(features, torch.tensor([0, 0, 1, -1]), torch.randn(2, 3))
    sums.sum().backward()
    assert sums.tolist() == [0, 0]
    assert features.grad.isfinite().all()
    empty = torch.zeros(0, 3, requires_grad=True)
    class_cosine_sums(empty, torch.zeros(0).long(), torch.randn(2, 3)).sum().backward()
    assert empty.grad.shape == (0, 3)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_other_types_of_rows_keep_their_type_in_the_gradient(dtype):
    features, labels, directions, _ = make_input(200)
    rows = features.to(dtype).requires_grad_()
    exact = rows.detach().float().requires_grad_()
    sums, expected = class_cosine_sums(rows, labels, directions), class_cosine_sums(exact, labels, directions)
    assert sums.dtype == torch.float32
    torch.testing.assert_close(sums, expected)
    sums.sum().backward()
    expected.sum().backward()
    assert rows.grad.dtype == dtype
    torch.testing.assert_close(rows.grad.float(), exact.grad, rtol=1e-2, atol=1e-2)


def test_strided_rows():
    """Rows of a channels-first map of one image are a view."""
    features, labels, directions, _ = make_input(5000)
    columns = features.T.contiguous().requires_grad_()
    contiguous = features.clone().requires_grad_()
    class_cosine_sums(columns.T, labels, directions).sum().backward()
    class_cosine_sums(contiguous, labels, directions).sum().backward()
    torch.testing.assert_close(columns.grad.T, contiguous.grad)


def test_class_sums_of_many_ones_are_exact_and_differentiable():
    labels = torch.arange(30_001) % 4
    values = torch.ones(30_001, requires_grad=True)
    sums = class_sums(values, labels, 5)
    assert sums.tolist() == [7501, 7500, 7500, 7500, 0]
    (sums * torch.arange(5.0)).sum().backward()
    assert torch.equal(values.grad, labels.float())


def test_class_sums_do_not_drift_over_many_rows():
    values = torch.full((2_000_000,), 0.1)
    error = class_sums(values, torch.zeros(2_000_000, dtype=torch.long), 1).double() / values.double().sum() - 1
    assert error.abs() < 1e-5  # one running sum is 1.5% off
