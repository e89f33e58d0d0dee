from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from monai_proto.engines import push_prototypes
from monai_proto.networks.blocks import PrototypeBank


def batches(features, labels, size):
    for start in range(0, len(labels), size):
        part = slice(start, start + size)
        yield features[part], labels[part], [str(i) for i in range(len(labels))][part]


def slow_push(bank, features, labels, normalize):
    """ProtoPNet's loop: for every prototype look at every patch of every image of its class."""
    found = {}
    for slot in range(len(bank.valid_mask)):
        if not bank.valid_mask[slot]:
            continue
        prototype = bank.prototypes[slot].detach()
        prototype = F.normalize(prototype, dim=0) if bank.normalize else prototype
        best = (float("inf"), None, None)
        for image in range(len(labels)):
            if labels[image] != bank.prototype_labels[slot]:
                continue
            for patch in range(features.shape[1]):
                f = F.normalize(features[image, patch], dim=0) if normalize else features[image, patch]
                distance = float((f - prototype).norm())
                if distance < best[0] - 1e-6:
                    best = (distance, image, patch)
        if best[1] is not None:
            found[slot] = best
    return found


@pytest.mark.parametrize("size", [1, 7, 60])
def test_reproduces_protopnet(prototype_push_golden, size):
    golden = prototype_push_golden
    features, labels = torch.tensor(golden["features"]), torch.tensor(golden["labels"])
    bank = PrototypeBank(4, 24, 3, 3, normalize=False)
    with torch.no_grad():
        bank.prototypes.copy_(torch.tensor(golden["prototypes"]))
    report = push_prototypes(bank, batches(features, labels, size), 0.0, None, normalize=False)

    pushed = torch.tensor(golden["pushed"])
    assert [p.slot for p in report.pushed] == pushed.nonzero().flatten().tolist()
    assert torch.equal(bank.prototypes[pushed], torch.tensor(golden["projected"])[pushed])
    assert torch.equal(bank.prototypes[~pushed], torch.tensor(golden["prototypes"])[~pushed])
    sources = [(int(p.image_id), p.patch_index) for p in report.pushed]
    assert sources == [tuple(row) for row in golden["source_image_and_patch"][golden["pushed"]]]
    assert report.unseen_classes == [3]
    assert report.patches_per_class == [49 * int((labels == c).sum()) for c in range(4)]
    assert report.complete
    assert all(p.distance == 0 for p in report.pushed)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 9), st.integers(1, 4), st.booleans(), st.booleans(), st.integers(0, 10_000))
def test_finds_what_the_slow_loop_finds(images, size, unit_bank, normalize, seed):
    torch.manual_seed(seed)
    bank = PrototypeBank(3, 4, 2, 4, normalize=unit_bank)
    bank.grow(1, torch.randn(4))
    bank.prune(torch.tensor([0]))
    features, labels = torch.randn(images, 3, 4), torch.randint(3, (images,))
    expected = slow_push(bank, features, labels, normalize)
    report = push_prototypes(bank, batches(features, labels, size), 0.5, None, normalize)
    assert {p.slot: (int(p.image_id), p.patch_index) for p in report.pushed} == {
        slot: (image, patch) for slot, (_, image, patch) in expected.items()
    }
    for pushed in report.pushed:
        assert pushed.min_distance == pytest.approx(expected[pushed.slot][0], abs=1e-3)


def test_moves_by_the_momentum_and_stays_on_the_sphere():
    torch.manual_seed(0)
    bank = PrototypeBank(2, 6, 2, 2)
    start = bank.valid_prototypes().detach()
    features, labels = 3 * torch.randn(5, 4, 6), torch.tensor([0, 1, 0, 1, 0])
    report = push_prototypes(bank, batches(features, labels, 2), momentum=0.9)
    for pushed in report.pushed:
        f = F.normalize(features[int(pushed.image_id), pushed.patch_index], dim=0)
        expected = F.normalize(0.9 * start[pushed.slot] + 0.1 * f, dim=0)
        torch.testing.assert_close(bank.prototypes[pushed.slot].detach(), expected)
        assert pushed.distance == pytest.approx(float((expected - f).norm()), abs=1e-5)


def test_the_limit_takes_the_first_patches_and_stops_reading():
    bank = PrototypeBank(2, 3, 1, 1, normalize=False)
    with torch.no_grad():
        bank.prototypes.copy_(torch.zeros(2, 3))
    # the nearest patch of class 0 is the last one, beyond the limit of 3 patches
    features = torch.tensor([[5.0, 4.0], [3.0, 1.0], [6.0, 5.0], [7.0, 2.0], [9.0, 9.0]])[..., None].expand(-1, -1, 3)
    labels = torch.tensor([0, 0, 1, 1, 0])
    read = []

    def counted():
        for batch in batches(features, labels, 2):
            read.append(len(batch[1]))
            yield batch

    report = push_prototypes(bank, counted(), 0.0, max_patches_per_class=3, normalize=False)
    # class 0: 5, 4, 3 are looked at and 1 is not; class 1: 6, 5, 7 are and 2 is not
    assert {p.slot: (p.image_id, p.patch_index) for p in report.pushed} == {0: ("1", 0), 1: ("2", 1)}
    assert report.patches_per_class == [3, 3]
    assert read == [2, 2]
    assert not report.complete


def test_of_equally_near_patches_the_first_counts():
    bank = PrototypeBank(1, 2, 1, 1, normalize=False)
    features = torch.ones(4, 3, 2)
    report = push_prototypes(bank, batches(features, torch.zeros(4, dtype=torch.long), 2), 0.0, None, False)
    assert (report.pushed[0].image_id, report.pushed[0].patch_index) == ("0", 0)


def test_only_prototypes_in_use_move_and_no_data_moves_none():
    bank = PrototypeBank(2, 3, 1, 3)
    before = bank.prototypes.detach().clone()
    report = push_prototypes(bank, batches(torch.randn(4, 2, 3), torch.tensor([0, 0, 0, 0]), 2), 0.0)
    changed = (bank.prototypes != before).any(dim=1)
    assert changed.tolist() == [True, False, False, False, False, False]
    assert report.unseen_classes == [1]
    report = push_prototypes(bank, [])
    assert report.unseen_classes == [0, 1]
    assert report.pushed == []


@pytest.mark.parametrize(
    ("features", "labels", "ids", "message"),
    [
        (torch.randn(2, 3, 5), [0, 1], ["a", "b"], r"patch embeddings must have shape \(B, P, 4\)"),
        (torch.randn(2, 3, 4), [0, 2], ["a", "b"], r"labels must be in 0 \.\. 1, got values from 0 to 2"),
        (torch.randn(2, 3, 4), [0, 1], ["a"], "one image id for each of 2 images, got 1"),
        (torch.full((2, 3, 4), torch.nan), [0, 1], ["a", "b"], "patch embeddings must be finite, but 6 of its 6"),
    ],
)
def test_batches_that_do_not_fit(features, labels, ids, message):
    with pytest.raises(ValueError, match=message):
        push_prototypes(PrototypeBank(2, 4, 1, 1), [(features, torch.tensor(labels), ids)])


def test_arguments_that_do_not_fit():
    with pytest.raises(ValueError, match="momentum must be in"):
        push_prototypes(PrototypeBank(2, 4, 1, 1), [], momentum=-0.1)
    with pytest.raises(ValueError, match="max_patches_per_class must be at least 1"):
        push_prototypes(PrototypeBank(2, 4, 1, 1), [], max_patches_per_class=0)
