from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from monai_proto.networks.blocks import PrototypeBank, ProvenanceRecord


def make_bank(**options) -> PrototypeBank:
    torch.manual_seed(0)
    return PrototypeBank(**{"num_classes": 3, "embedding_dim": 8, "num_prototypes": 2, "max_prototypes": 4, **options})


def test_slots_labels_and_mask_at_the_start():
    bank = make_bank()
    assert bank.prototypes.shape == (12, 8)
    assert bank.prototype_labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert bank.valid_mask.tolist() == [True, True, False, False] * 3
    assert bank.valid_labels().tolist() == [0, 0, 1, 1, 2, 2]


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 1000))
def test_prototypes_are_unit_rows_whatever_an_optimizer_does(classes, prototypes, seed):
    torch.manual_seed(seed)
    bank = PrototypeBank(classes, 5, prototypes, max_prototypes=4)
    with torch.no_grad():
        bank.prototypes.mul_(torch.rand(len(bank.prototypes), 1) * 10 + 0.1)
    torch.testing.assert_close(bank.valid_prototypes().norm(dim=1), torch.ones(classes * prototypes))


def test_ema_update_is_the_formula():
    bank = make_bank()
    value = torch.randn(8)
    expected = F.normalize(0.9 * F.normalize(bank.prototypes[4], dim=0) + 0.1 * F.normalize(value, dim=0), dim=0)
    others = bank.prototypes.detach().clone()
    bank.ema_update(4, value)
    torch.testing.assert_close(bank.prototypes[4].detach(), expected.detach())
    others[4] = expected
    torch.testing.assert_close(bank.prototypes.detach(), others.detach())


def test_ema_update_is_no_plain_average():
    """Ten updates with one value come close to it as the moving average does, not as a mean of two would."""
    bank = make_bank(momentum=0.9, normalize=False)
    start, value = bank.prototypes[0].detach().clone(), torch.ones(8)
    for _ in range(10):
        bank.ema_update(0, value)
    torch.testing.assert_close(bank.prototypes[0].detach(), 0.9**10 * start + (1 - 0.9**10) * value)


def test_momentum_zero_puts_the_value_in_place():
    bank = make_bank()
    value = torch.randn(8)
    bank.ema_update(0, value, momentum=0.0)
    torch.testing.assert_close(bank.valid_prototypes()[0].detach(), F.normalize(value, dim=0))


def test_grows_until_a_class_is_full():
    bank = make_bank()
    assert bank.grow(1, torch.randn(8)) == 6
    assert bank.grow(1, torch.randn(8)) == 7
    assert bank.grow(1, torch.randn(8)) is None
    assert bank.valid_labels().tolist() == [0, 0, 1, 1, 1, 1, 2, 2]


def test_a_pruned_slot_is_used_again_and_forgets_its_source():
    bank = make_bank()
    bank.provenance.record(0, ProvenanceRecord("a.png", 3, (0.0, 0.5, 0.5, 1.0), 0.25, 10))
    bank.prune(torch.tensor([0]))
    assert bank.valid_labels().tolist() == [0, 1, 1, 2, 2]
    assert bank.provenance.read(0) is None
    assert bank.grow(0, torch.randn(8)) == 0


def test_pruning_leaves_each_class_a_prototype():
    with pytest.raises(ValueError, match="without a prototype"):
        make_bank().prune(torch.tensor([0, 1]))
    with pytest.raises(ValueError, match="must be in use"):
        make_bank().prune(torch.tensor([2]))


def test_state_dict_restores_slots_and_sources(tmp_path):
    bank = make_bank()
    slot = bank.grow(2, torch.randn(8))
    record = ProvenanceRecord("läsion/0001.jpg", 17, (0.25, 0.5, 0.0, 0.25), 0.125, 10)
    bank.provenance.record(slot, record)
    bank.prune(torch.tensor([1]))
    torch.save(bank.state_dict(), tmp_path / "bank.pt")

    other = make_bank()
    other.load_state_dict(torch.load(tmp_path / "bank.pt", weights_only=True))
    assert torch.equal(other.valid_slots, bank.valid_slots)
    assert torch.equal(other.valid_prototypes(), bank.valid_prototypes())
    assert other.provenance.read(slot) == record
    assert torch.equal(copy.deepcopy(other).valid_slots, bank.valid_slots)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_prototypes": 5}, "num_prototypes must be at most max_prototypes 4, got 5"),
        ({"num_classes": 0}, "num_classes must be at least 1"),
        ({"embedding_dim": 0}, "embedding_dim must be at least 1"),
        ({"momentum": 1.5}, "momentum must be in 0 .. 1"),
        ({"spatial_dims": 4}, "spatial_dims must be 1 to 3"),
    ],
)
def test_arguments_that_do_not_fit(options, message):
    with pytest.raises(ValueError, match=message):
        make_bank(**options)


def test_values_that_do_not_fit():
    bank = make_bank()
    with pytest.raises(ValueError, match=r"value must have shape \(8,\)"):
        bank.ema_update(0, torch.randn(7))
    with pytest.raises(ValueError, match="value must be finite"):
        bank.ema_update(0, torch.full((8,), torch.nan))
    with pytest.raises(ValueError, match=r"label must be in 0 \.\. 2"):
        bank.grow(3, torch.randn(8))
    with pytest.raises(ValueError, match="image id"):
        bank.provenance.record(0, ProvenanceRecord("x" * 300, 0, (0.0, 1.0, 0.0, 1.0), 0.0, 1))
    with pytest.raises(ValueError, match="box must have 4 numbers"):
        bank.provenance.record(0, ProvenanceRecord("x", 0, (0.0, 1.0), 0.0, 1))
