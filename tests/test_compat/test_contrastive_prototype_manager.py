from __future__ import annotations

import copy

import pytest
import torch

from monai_proto.compat import ContrastivePrototypeManager
from monai_proto.losses import (
    MemoryBankContrastiveLoss,
    inter_class_separation_loss,
    intra_class_compactness_loss,
    memory_bank_contrastive_loss,
)
from monai_proto.networks.blocks import ClassMemoryBank


def make_manager(learned=False, **arguments):
    torch.manual_seed(0)
    return ContrastivePrototypeManager(3, 5, elements_per_class=4, use_learned_selector=learned, **arguments)


def make_rows(seed=0, num_rows=60):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(num_rows, 5, generator=generator)
    labels, predictions = (torch.randint(0, 3, (num_rows,), generator=generator) for _ in range(2))
    return features, labels, predictions


@pytest.mark.parametrize("learned", [False, True])
def test_labelled_rows_that_are_predicted_correctly_enter_the_bank_and_all_are_compared(learned):
    manager = make_manager(learned)
    reference = copy.deepcopy(manager.contrastive_loss)
    features, labels, predictions = make_rows()
    features.requires_grad_()
    weights = {"contrastive_weight": 0.7, "intra_weight": 0.2, "inter_weight": 0.3}
    loss, parts = manager.update_and_compute_loss(features, predictions, labels, **weights)

    correct = predictions == labels
    bank = ClassMemoryBank(3, 5, 4)
    scores = reference.score(features[correct], labels[correct]) if learned else None
    bank.update(features[correct], labels[correct], scores)
    assert torch.equal(manager.bank.rows, bank.rows)
    assert torch.equal(manager.bank.counts, bank.counts)

    means = bank.class_means()
    expected = {
        "contrastive_loss": reference(features, labels, bank),
        "intra_loss": intra_class_compactness_loss(features, labels, means, bank.counts),
        "inter_loss": inter_class_separation_loss(means, bank.counts),
    }
    expected["total_loss"] = (
        0.7 * expected["contrastive_loss"] + 0.2 * expected["intra_loss"] + 0.3 * expected["inter_loss"]
    )
    assert set(parts) == set(expected)
    for name, value in expected.items():
        torch.testing.assert_close(parts[name], value.detach())
        assert not parts[name].requires_grad
    torch.testing.assert_close(loss.detach(), parts["total_loss"])
    loss.backward()
    assert features.grad.abs().sum(1).gt(0).all()


def test_default_weights():
    manager, (features, labels, _) = make_manager(), make_rows()
    loss, parts = manager.update_and_compute_loss(features, labels, labels)
    expected = parts["contrastive_loss"] + 0.1 * parts["intra_loss"] + 0.1 * parts["inter_loss"]
    torch.testing.assert_close(loss, expected)


@pytest.mark.parametrize("labels", [None, "given"])
def test_unlabelled_rows_are_compared_by_their_predictions_and_leave_the_bank_alone(labels):
    manager, (features, given, predictions) = make_manager(), make_rows()
    manager.update_and_compute_loss(features, given, given)
    before = copy.deepcopy(manager.bank)
    others = torch.randn(60, 5)
    _, parts = manager.update_and_compute_loss(others, predictions, given if labels else None, is_labeled=False)
    assert torch.equal(manager.bank.rows, before.rows)
    expected = memory_bank_contrastive_loss(others, predictions, before.class_means(), before.counts)
    torch.testing.assert_close(parts["contrastive_loss"], expected)


@pytest.mark.parametrize("spatial", [(4, 6), (2, 3, 4)])
@pytest.mark.parametrize("channel", [False, True])
@pytest.mark.parametrize("logits", [False, True])
def test_maps_are_rows(spatial, channel, logits):
    torch.manual_seed(1)
    maps = torch.randn(2, 5, *spatial)
    labels, scores = torch.randint(0, 3, (2, *spatial)), torch.randn(2, 3, *spatial)
    rows, row_scores = (m.movedim(1, -1).flatten(0, -2) for m in (maps, scores))
    by_rows, by_maps = make_manager(), make_manager()
    expected, _ = by_rows.update_and_compute_loss(rows, row_scores.argmax(1), labels.flatten())
    predictions = scores if logits else scores.argmax(1, keepdim=channel)
    map_labels = labels.unsqueeze(1) if channel else labels
    loss, _ = by_maps.update_and_compute_loss(maps, predictions, map_labels)
    torch.testing.assert_close(loss, expected)
    assert torch.equal(by_maps.bank.rows, by_rows.bank.rows)
    assert by_rows.bank.counts.gt(0).any()
    torch.testing.assert_close(
        by_maps.contrastive_class_to_class_learned_memory(maps, map_labels),
        by_rows.contrastive_class_to_class_learned_memory(rows, labels.flatten()),
    )


def test_logits_of_rows():
    manager, other = make_manager(), make_manager()
    features, labels, _ = make_rows()
    logits = torch.randn(60, 3)
    loss, _ = manager.update_and_compute_loss(features, logits, labels)
    expected, _ = other.update_and_compute_loss(features, logits.argmax(1), labels)
    assert torch.equal(loss, expected)


@pytest.mark.parametrize("learned", [False, True])
def test_update_memory_replaces_the_classes_given(learned):
    manager = make_manager(learned)
    manager.update_memory({0: torch.randn(2, 5), 1: torch.randn(3, 5)})
    kept = manager.bank.rows[1].clone()
    rows = {2: torch.randn(9, 5), 0: torch.randn(3, 5), 1: torch.zeros(0, 5)}
    manager.update_memory(rows)
    assert manager.bank.counts.tolist() == [3, 3, 4]
    assert torch.equal(manager.bank.rows[1], kept)
    assert torch.equal(manager.bank.rows[0, :3], rows[0])
    if not learned:
        assert torch.equal(manager.bank.rows[2], rows[2][:4])
    manager.update_memory({})
    assert manager.bank.counts.tolist() == [3, 3, 4]


def test_contrastive_loss_is_that_of_the_package():
    manager = make_manager(learned=True).eval()
    manager.update_memory({c: torch.randn(4, 5) for c in range(3)})
    features, labels, _ = make_rows()
    value = manager.contrastive_class_to_class_learned_memory(features, labels)
    loss = MemoryBankContrastiveLoss(3, 5, use_learned_selector=True).eval()
    loss.load_state_dict(manager.contrastive_loss.state_dict())
    assert torch.equal(value, loss(features, labels, manager.bank))


def test_selectors_are_the_managers_own_by_the_peers_names():
    manager = make_manager(learned=True)
    selectors = manager.get_selectors()
    assert list(selectors) == [f"contrastive_class_selector_{c}" for c in range(3)] + [
        f"contrastive_class_selector_memory{c}" for c in range(3)
    ]
    assert {id(p) for p in selectors.parameters()} == {id(p) for p in manager.parameters()}
    assert len(make_manager().get_selectors()) == 0


def test_selectors_train():
    manager, (features, labels, _) = make_manager(learned=True), make_rows()
    before = copy.deepcopy(manager.get_selectors())
    optimizer = torch.optim.Adam(manager.get_selectors().parameters(), lr=0.01)
    loss, _ = manager.update_and_compute_loss(features, labels, labels)
    loss.backward()
    optimizer.step()
    for name, selector in manager.get_selectors().items():
        changed = not torch.equal(selector[3].weight, before[name][3].weight)
        assert changed == ("memory" not in name)


def test_state_dict_holds_bank_and_selectors():
    manager = make_manager(learned=True)
    manager.update_memory({c: torch.randn(4, 5) for c in range(3)})
    other = ContrastivePrototypeManager(3, 5, 4, use_learned_selector=True)
    other.load_state_dict(manager.state_dict())
    features, labels, _ = make_rows()
    ours, theirs = (m.eval().contrastive_class_to_class_learned_memory(features, labels) for m in (manager, other))
    assert torch.equal(ours, theirs)
    with pytest.raises(RuntimeError, match="size mismatch for bank"):
        ContrastivePrototypeManager(4, 5, 4).load_state_dict(manager.state_dict(), strict=False)


@pytest.mark.parametrize(
    ("features", "predictions", "labels", "message"),
    [
        (torch.randn(4, 5), torch.zeros(4).long(), None, "labels must be given when is_labeled=True"),
        (torch.randn(4, 5), torch.zeros(3).long(), torch.zeros(4).long(), "predictions must have shape"),
        (torch.randn(4, 5), torch.zeros(4, 2), torch.zeros(4).long(), r"predictions must be logits of shape \(4, 3\)"),
        (torch.randn(4, 5), torch.zeros(4), torch.zeros(4).long(), "predictions must be logits .*torch.float32"),
        (torch.randn(4, 5), torch.full((4,), 3), torch.zeros(4).long(), "predictions must be in 0 .. 2"),
        (torch.randn(4, 5), torch.zeros(4).long(), torch.zeros(2).long(), r"labels must have shape \(4,\) or \(4, 1\)"),
        (torch.randn(4, 5), torch.zeros(4).long(), torch.zeros(4), "labels must be integers"),
        (torch.randn(4, 5), torch.zeros(4).long(), torch.full((4,), 3), "labels must be in 0 .. 2"),
        (torch.randn(4, 6), torch.zeros(4).long(), torch.zeros(4).long(), r"features must have shape \(N, 5\)"),
        (torch.full((4, 5), torch.nan), torch.zeros(4).long(), torch.zeros(4).long(), "features must be finite"),
        (torch.randn(1, 5, 4, 4), torch.zeros(1, 4, 4).long(), torch.zeros(1, 2, 2).long(), "labels must have shape"),
    ],
)
def test_update_and_compute_loss_refuses(features, predictions, labels, message):
    manager = make_manager()
    with pytest.raises(ValueError, match=message):
        manager.update_and_compute_loss(features, predictions, labels)
    assert not manager.bank.counts.any()


@pytest.mark.parametrize(
    ("features_dict", "message"),
    [
        ({3: torch.randn(2, 5)}, "features_dict must have classes 0 .. 2, got 3"),
        ({-1: torch.randn(2, 5)}, "features_dict must have classes"),
        ({0: torch.randn(2, 4)}, r"features_dict\[0\] must have shape \(n, 5\), got \(2, 4\)"),
        ({0: torch.full((2, 5), torch.inf)}, "features must be finite"),
    ],
)
def test_update_memory_refuses(features_dict, message):
    manager = make_manager()
    with pytest.raises(ValueError, match=message):
        manager.update_memory(features_dict)
    assert not manager.bank.counts.any()
