from __future__ import annotations

import pytest
import torch

from monai_proto.networks.feature_rows import labels_on_grid, rows_of_map


@pytest.mark.parametrize("spatial", [(3, 4), (2, 3, 4)])
def test_rows_and_labels_have_the_same_order(spatial):
    labels = torch.arange(2 * torch.Size(spatial).numel()).reshape(2, 1, *spatial)
    features = labels.float() * torch.tensor([1.0, 10.0, 100.0]).view(1, 3, *[1 for _ in spatial])
    rows, label_rows = rows_of_map(features), labels_on_grid(labels, torch.Size(spatial))
    assert rows.shape == (labels.numel(), 3)
    assert torch.equal(rows[:, 0].long(), label_rows)
    assert torch.equal(rows[:, 2], 100 * rows[:, 0])


def test_labels_on_a_coarser_grid_are_those_at_the_middle_of_the_cells():
    labels = torch.randint(0, 9, (2, 1, 9, 6))
    coarse = labels_on_grid(labels, torch.Size((3, 2)))
    assert torch.equal(coarse, labels[:, 0, 1::3, 1::3].reshape(-1))
    assert coarse.dtype == torch.int64


def test_labels_are_not_mixed_between_classes():
    """Nearest, not linear: a border between 0 and 4 gives no 2; and ignored labels stay -1."""
    labels = torch.tensor([0, 0, 4, 4, -1, -1, 4, 0]).view(1, 1, 8, 1).expand(-1, -1, -1, 4)
    assert set(labels_on_grid(labels, torch.Size((4, 2))).tolist()) == {0, 4, -1}
