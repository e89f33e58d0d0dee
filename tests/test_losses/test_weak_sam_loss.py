from __future__ import annotations

import pytest
import torch

from monai_proto.losses.contrast_sampling import ContrastSamples
from monai_proto.losses.pixel_info_nce import pixel_info_nce
from monai_proto.losses.promptable_terms import bce_dice_loss, embedding_distillation_loss, iou_mse_loss
from monai_proto.losses.weak_sam_loss import WeakSamLoss


@pytest.fixture
def inputs():
    torch.manual_seed(0)
    rows = [torch.randn(n, 4, requires_grad=True) for n in (5, 5, 7)]
    masks = [torch.ones(n, dtype=torch.bool) for n in (5, 7)]
    return {
        "samples": ContrastSamples(*rows, *masks),
        "student_embedding": torch.randn(2, 4, 3, 3, requires_grad=True),
        "reference_embedding": torch.randn(2, 4, 3, 3),
        "logits": torch.randn(2, 1, 6, 6, requires_grad=True),
        "predicted_iou": torch.rand(2, requires_grad=True),
        "pseudo_labels": torch.rand(2, 1, 6, 6) < 0.5,
        "trusted": torch.tensor([True, False]),
        "masks": (torch.rand(2, 1, 6, 6) < 0.5).float(),
    }


def contrast_and_distillation(inputs):
    contrast = pixel_info_nce(*inputs["samples"][:3])
    return contrast, embedding_distillation_loss(inputs["student_embedding"], inputs["reference_embedding"])


def test_by_default_masks_are_monitored_and_change_nothing(inputs):
    loss = WeakSamLoss()
    total = loss(**inputs)
    contrast, distillation = contrast_and_distillation(inputs)
    torch.testing.assert_close(total, contrast + 0.1 * distillation)
    components = loss.components
    torch.testing.assert_close(components["mask_loss"], bce_dice_loss(inputs["logits"], inputs["masks"]).detach())
    assert set(components) == {"contrast_loss", "distillation_loss", "mask_loss", "iou_loss"}
    assert not any(part.requires_grad for part in components.values())
    total.backward()
    assert inputs["logits"].grad is None
    assert inputs["predicted_iou"].grad is None

    scrambled = {**inputs, "masks": torch.full_like(inputs["masks"], torch.nan)}
    assert torch.equal(loss(**scrambled), total)
    assert torch.equal(loss(**{**inputs, "masks": None}), total)
    assert set(loss.components) == {"contrast_loss", "distillation_loss"}


def test_pseudo_labels_train_trusted_images_and_what_the_boxes_decide(inputs):
    loss = WeakSamLoss(alpha=2.0, beta=0.25, gamma=0.3, supervision="pseudo_label")
    certain = torch.zeros(2, 1, 6, 6, dtype=torch.bool)
    certain[:, :, 0] = True
    total = loss(**inputs, certain=certain)
    contrast, distillation = contrast_and_distillation(inputs)
    selected = torch.ones_like(certain)
    selected[1, :, 1:] = False
    mask = bce_dice_loss(inputs["logits"], inputs["pseudo_labels"], selected)
    iou = iou_mse_loss(inputs["predicted_iou"][:1], inputs["logits"][:1], inputs["pseudo_labels"][:1].float())
    torch.testing.assert_close(total, mask + 2 * contrast + 0.25 * iou + 0.3 * distillation)
    total.backward()
    assert (inputs["logits"].grad[~selected] == 0).all()
    assert (inputs["logits"].grad[selected] != 0).all()
    assert inputs["predicted_iou"].grad[1] == 0
    assert torch.equal(loss(**{**inputs, "masks": 1 - inputs["masks"]}, certain=certain), total)
    assert {"pseudo_mask_loss", "pseudo_iou_loss", "mask_loss", "iou_loss"} <= set(loss.components)


def test_no_trusted_image_leaves_the_distillation(inputs):
    loss = WeakSamLoss(supervision="pseudo_label")
    inputs |= {"trusted": torch.zeros(2, dtype=torch.bool), "samples": None}
    total = loss(**inputs)
    torch.testing.assert_close(total, 0.1 * contrast_and_distillation({**inputs, "samples": [torch.ones(1, 1)] * 3})[1])
    total.backward()
    assert torch.equal(inputs["logits"].grad, torch.zeros(2, 1, 6, 6))


def test_masks_train_only_when_asked(inputs):
    total = WeakSamLoss(supervision="mask", beta=1.0)(**inputs)
    contrast, distillation = contrast_and_distillation(inputs)
    mask = bce_dice_loss(inputs["logits"], inputs["masks"])
    iou = iou_mse_loss(inputs["predicted_iou"], inputs["logits"], inputs["masks"])
    torch.testing.assert_close(total, mask + contrast + iou + 0.1 * distillation)
    total.backward()
    assert (inputs["logits"].grad != 0).all()


def test_refuses_what_does_not_fit(inputs):
    with pytest.raises(ValueError, match="beta must be at least 0, got -1"):
        WeakSamLoss(beta=-1)
    with pytest.raises(ValueError, match=r"supervision must be one of .* got 'boxes'"):
        WeakSamLoss(supervision="boxes")
    with pytest.raises(ValueError, match='supervision="pseudo_label" needs pseudo_labels, got None'):
        WeakSamLoss(supervision="pseudo_label")(**{**inputs, "pseudo_labels": None})
    with pytest.raises(ValueError, match='supervision="mask" needs logits, predicted_iou, masks, got None'):
        WeakSamLoss(supervision="mask")(None, inputs["student_embedding"], inputs["reference_embedding"])
