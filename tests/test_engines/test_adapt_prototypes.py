from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from monai_proto.engines import adapt_prototypes
from monai_proto.networks.blocks import PrototypeBank
from monai_proto.optimizers import forget_rows

AXES = torch.eye(4)


def make_bank(rows: list[tuple[int, torch.Tensor]]) -> PrototypeBank:
    """A bank of 2 classes with the given prototypes in the first slots of each."""
    bank = PrototypeBank(2, 4, 1, 3)
    used = {0: 0, 1: 0}
    with torch.no_grad():
        for label, row in rows:
            slot = label * 3 + used[label]
            bank.prototypes[slot] = row
            bank.valid_mask[slot] = True
            used[label] += 1
    bank._refresh_slots()
    return bank


def batch(rows: list[tuple[int, torch.Tensor]]):
    """Images of two equal patches."""
    patches = torch.stack([F.normalize(row, dim=0).expand(2, 4) for _, row in rows])
    return patches, torch.tensor([label for label, _ in rows]), [str(i) for i in range(len(rows))]


def test_a_class_far_from_its_prototypes_grows_at_its_farthest_image():
    bank = make_bank([(0, AXES[0]), (1, AXES[1])])
    images = [(0, AXES[0]), (0, AXES[0] + 2 * AXES[2]), (0, -AXES[0] + 0.1 * AXES[3]), (1, AXES[1])]
    report = adapt_prototypes(bank, [batch(images[:2]), batch(images[2:])], far_distance=0.4, far_share=0.5)
    assert report.grown == [1]
    torch.testing.assert_close(bank.prototypes[1].detach(), F.normalize(images[2][1], dim=0))
    assert bank.valid_labels().tolist() == [0, 0, 1]


def test_a_class_with_few_far_images_or_no_slot_does_not_grow():
    images = [(0, AXES[0])] * 3 + [(0, -AXES[0])] + [(1, AXES[1])]
    bank = make_bank([(0, AXES[0]), (1, AXES[1])])
    assert adapt_prototypes(bank, [batch(images)], far_share=0.5).grown == []
    full = make_bank([(0, AXES[0]), (0, AXES[1]), (0, AXES[2]), (1, AXES[1])])
    seen = [(0, AXES[0]), (0, AXES[1]), (0, AXES[2]), (0, -AXES.sum(dim=0)), (1, AXES[1])]
    report = adapt_prototypes(full, [batch(seen)], far_share=0.2)
    assert (report.grown, report.full_classes) == ([], [0])


def test_near_duplicates_and_unused_prototypes_go():
    bank = make_bank([(0, AXES[0]), (0, AXES[0] + 0.05 * AXES[1]), (0, AXES[3]), (1, AXES[1])])
    images = [(0, AXES[0])] * 3 + [(0, AXES[0] + 0.05 * AXES[1])] + [(1, AXES[1])]
    report = adapt_prototypes(bank, [batch(images)])
    assert report.pruned == {1: "near-duplicate of slot 0", 2: "never nearest"}
    assert bank.valid_slots.tolist() == [0, 3]


def test_the_last_prototype_of_a_class_and_classes_without_images_stay():
    bank = make_bank([(0, AXES[0]), (1, AXES[1]), (1, AXES[2])])
    assert adapt_prototypes(bank, [batch([(0, AXES[0])])]).pruned == {}
    bank = make_bank([(0, AXES[0]), (0, AXES[0]), (1, AXES[1])])
    assert adapt_prototypes(bank, [batch([(0, AXES[0])])], prune_unused=True).pruned == {1: "never nearest"}


def test_keeps_prototypes_that_are_told_not_to_go():
    bank = make_bank([(0, AXES[0]), (0, AXES[3]), (1, AXES[1])])
    assert adapt_prototypes(bank, [batch([(0, AXES[0])])], prune_unused=False).pruned == {}


def test_embeddings_that_do_not_fit():
    with pytest.raises(ValueError, match="must be finite"):
        adapt_prototypes(make_bank([]), [(torch.full((1, 2, 4), torch.inf), torch.tensor([0]), ["a"])])
    with pytest.raises(ValueError, match="labels must be in"):
        adapt_prototypes(make_bank([]), [(torch.rand(1, 2, 4), torch.tensor([2]), ["a"])])


@pytest.mark.parametrize("kind", [torch.optim.AdamW, torch.optim.SGD])
def test_the_optimizer_forgets_the_rows_and_no_others(kind):
    parameter = torch.nn.Parameter(torch.randn(3, 2))
    optimizer = kind([parameter], lr=0.1, **({"momentum": 0.9} if kind is torch.optim.SGD else {}))
    parameter.sum().backward()
    optimizer.step()
    forget_rows(optimizer, parameter, [1])
    moments = [v for v in optimizer.state[parameter].values() if torch.is_tensor(v) and v.shape == (3, 2)]
    assert moments
    for moment in moments:
        assert (moment[1] == 0).all()
        assert (moment[[0, 2]] != 0).all()
