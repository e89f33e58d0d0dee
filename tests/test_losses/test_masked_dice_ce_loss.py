from __future__ import annotations

import pytest
import torch
from monai.losses import DiceCELoss

from monai_proto.losses import MaskedDiceCELoss


def make_case(dims=2, classes=3):
    torch.manual_seed(0)
    spatial = [6] * dims
    return torch.randn(2, classes, *spatial), torch.randint(0, classes, (2, 1, *spatial))


@pytest.mark.parametrize("include_background", [True, False])
@pytest.mark.parametrize("dims", [2, 3])
def test_full_mask_is_monais_dice_and_cross_entropy(dims, include_background):
    logits, labels = make_case(dims)
    reference = DiceCELoss(include_background=include_background, to_onehot_y=True, softmax=True, batch=True)
    loss = MaskedDiceCELoss(include_background)
    expected = reference(logits, labels)
    torch.testing.assert_close(loss(logits, labels), expected)
    torch.testing.assert_close(loss(logits, labels, torch.ones_like(labels, dtype=torch.bool)), expected)


def test_a_mask_is_as_if_the_other_voxels_were_not_there():
    logits, labels = make_case()
    mask = torch.zeros_like(labels, dtype=torch.bool)
    mask[..., :4] = True
    loss = MaskedDiceCELoss()
    torch.testing.assert_close(loss(logits, labels, mask), loss(logits[..., :4], labels[..., :4]))


def test_voxels_outside_of_the_mask_get_no_gradient_and_their_labels_do_not_matter():
    logits, labels = make_case()
    mask = torch.rand(labels.shape) < 0.5
    logits.requires_grad_()
    value = MaskedDiceCELoss()(logits, labels, mask)
    value.backward()
    outside = ~mask.expand_as(logits)
    assert not logits.grad[outside].any()
    assert logits.grad[~outside].ne(0).all()
    other_labels = torch.where(mask, labels, -1)
    torch.testing.assert_close(MaskedDiceCELoss()(logits, other_labels, mask), value)


def test_empty_mask_gives_zero_and_no_nan():
    logits, labels = make_case()
    logits.requires_grad_()
    value = MaskedDiceCELoss()(logits, labels, torch.zeros_like(labels, dtype=torch.bool))
    value.backward()
    assert value.item() == 0
    assert not logits.grad.any()
