from __future__ import annotations

import torch

from monai_proto.losses import pseudo_labels


def test_labels_voxel_by_voxel_with_a_floor():
    torch.manual_seed(0)
    logits = torch.randn(2, 3, 4, 5) * 2
    labels = pseudo_labels(logits, confidence_floor=0.6, ignore_index=9)
    assert labels.shape == (2, 1, 4, 5)
    assert labels.dtype == torch.int64
    for b in range(2):
        for x in range(4):
            for y in range(5):
                probabilities = logits[b, :, x, y].softmax(0).tolist()
                best = max(range(3), key=probabilities.__getitem__)
                assert labels[b, 0, x, y] == (best if probabilities[best] >= 0.6 else 9)
    assert 0 < (labels == 9).sum() < labels.numel()


def test_without_a_floor_every_voxel_has_a_label():
    logits = torch.zeros(1, 4, 2, 2, 2, requires_grad=True)
    labels = pseudo_labels(logits)
    assert not (labels < 0).any()
    assert not labels.requires_grad


def test_certain_voxels_pass_a_floor_of_one():
    assert pseudo_labels(torch.tensor([[[0.0]], [[900.0]]]).unsqueeze(0), confidence_floor=1.0).item() == 1
