from __future__ import annotations

import math

import pytest
import torch

from monai_proto.losses.mask_entropy import mask_entropy


def test_matches_the_definition_pixel_by_pixel():
    torch.manual_seed(0)
    logits = torch.randn(3, 1, 5, 4) * 4
    expected = []
    for b in range(3):
        entropies = []
        for z in logits[b].flatten().tolist():
            p = 1 / (1 + math.exp(-z))
            entropies.append(-p * math.log(p) - (1 - p) * math.log(1 - p))
        expected.append(sum(entropies) / len(entropies))
    entropy = mask_entropy(logits)
    assert entropy.shape == (3,)
    torch.testing.assert_close(entropy, torch.tensor(expected))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_certain_masks_have_none_and_undecided_ones_ln_2(dtype):
    values = torch.tensor([0.0, 101.0, -5000.0, 60000.0, torch.inf, -torch.inf], dtype=dtype)
    logits = values.reshape(6, 1, 1, 1).expand(6, 1, 2, 2).clone().requires_grad_()
    entropy = mask_entropy(logits)
    assert entropy.dtype == torch.float32
    torch.testing.assert_close(entropy, torch.tensor([math.log(2), 0, 0, 0, 0, 0]))
    entropy.sum().backward()
    assert torch.isfinite(logits.grad).all()


def test_autocast_changes_nothing():
    logits = torch.randn(2, 1, 8, 8) * 3
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(mask_entropy(logits), mask_entropy(logits.clone()))
        inside = mask_entropy(logits)
    assert torch.equal(inside, mask_entropy(logits))


def test_gradient_is_that_of_the_definition():
    logits = (torch.randn(1, 1, 3, 3, dtype=torch.float64) * 2).requires_grad_()
    (gradient,) = torch.autograd.grad(mask_entropy(logits).sum(), logits)
    p = logits.detach().sigmoid()
    torch.testing.assert_close(gradient, -logits.detach() * p * (1 - p) / 9, rtol=1e-5, atol=1e-7)


def test_refuses_other_shapes():
    with pytest.raises(ValueError, match=r"must have shape \(B, 1, H, W\), got \(2, 3, 4, 4\)"):
        mask_entropy(torch.zeros(2, 3, 4, 4))
