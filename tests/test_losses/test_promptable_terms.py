from __future__ import annotations

import pytest
import torch
from monai.losses import DiceCELoss

from monai_proto.losses.promptable_terms import bce_dice_loss, embedding_distillation_loss, iou_mse_loss, mask_iou


@pytest.fixture
def pair():
    torch.manual_seed(0)
    return torch.randn(3, 1, 6, 7, requires_grad=True), (torch.rand(3, 1, 6, 7) < 0.4).float()


def test_mask_loss_is_monais_when_every_pixel_counts(pair):
    logits, target = pair
    torch.testing.assert_close(bce_dice_loss(logits, target), DiceCELoss(sigmoid=True)(logits, target))
    torch.testing.assert_close(bce_dice_loss(logits, target.bool()), bce_dice_loss(logits, target))


def test_mask_loss_over_a_selection_is_that_of_the_pixels_selected(pair):
    logits, target = pair
    selected = torch.zeros(3, 1, 6, 7, dtype=torch.bool)
    selected[:2, :, 1:4, 2:6] = True
    loss = bce_dice_loss(logits, target, selected)
    torch.testing.assert_close(
        loss, DiceCELoss(sigmoid=True)(logits[:2, :, 1:4, 2:6], target[:2, :, 1:4, 2:6]), rtol=1e-5, atol=1e-6
    )
    loss.backward()
    assert (logits.grad[~selected] == 0).all()
    assert (logits.grad[selected] != 0).all()


def test_nothing_selected_gives_zero_that_keeps_the_graph(pair):
    logits, target = pair
    loss = bce_dice_loss(logits, target, torch.zeros(3, 1, 1, 1, dtype=torch.bool))
    assert loss.item() == 0
    loss.backward()
    assert torch.equal(logits.grad, torch.zeros_like(logits))


def test_iou_counts_pixels(pair):
    logits, target = pair
    target[1], logits.data[1] = 0, -1  # both empty
    expected = []
    for b in range(3):
        both = either = 0
        for z, t in zip(logits[b].flatten().tolist(), target[b].flatten().tolist(), strict=True):
            both, either = both + (z > 0 and t == 1), either + (z > 0 or t == 1)
        expected.append(both / either if either else 1.0)
    assert mask_iou(logits, target).tolist() == pytest.approx(expected)


def test_iou_loss_moves_the_prediction_only(pair):
    logits, target = pair
    predicted = torch.tensor([[0.9], [0.1], [0.5]], requires_grad=True)
    counted = torch.tensor([True, False, True])
    loss = iou_mse_loss(predicted, logits, target, counted)
    errors = predicted.detach().flatten() - mask_iou(logits, target)
    assert loss.item() == pytest.approx((errors[0].item() ** 2 + errors[2].item() ** 2) / 2)
    loss.backward()
    assert logits.grad is None
    torch.testing.assert_close(predicted.grad.flatten(), errors * counted)
    none = iou_mse_loss(predicted, logits, target, torch.zeros(3, dtype=torch.bool))
    assert none.item() == 0
    assert none.requires_grad
    assert iou_mse_loss(predicted, logits, target).item() == pytest.approx(errors.square().mean().item())


def test_distillation_is_the_mean_square_and_leaves_the_reference():
    student, reference = torch.randn(2, 4, 3, 3, requires_grad=True), torch.randn(2, 4, 3, 3, requires_grad=True)
    loss = embedding_distillation_loss(student, reference)
    pairs = zip(student.flatten().tolist(), reference.flatten().tolist(), strict=True)
    assert loss.item() == pytest.approx(sum((a - b) ** 2 for a, b in pairs) / 72, rel=1e-5)
    loss.backward()
    assert reference.grad is None
    assert student.grad.abs().sum() > 0


def test_refuses_shapes_that_do_not_fit(pair):
    logits, target = pair
    with pytest.raises(ValueError, match=r"target must have shape \(3, 1, 6, 7\), got \(3, 6, 7\)"):
        bce_dice_loss(logits, target[:, 0])
    with pytest.raises(ValueError, match=r"predicted_iou must have shape \(3,\), got \(2,\)"):
        iou_mse_loss(torch.zeros(2), logits, target)
    with pytest.raises(ValueError, match=r"reference must have shape"):
        embedding_distillation_loss(torch.zeros(1, 2, 3, 3), torch.zeros(1, 2, 4, 4))
