from __future__ import annotations

import contextlib
import copy
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from monai_proto.losses import MemoryBankContrastiveLoss, memory_bank_contrastive_loss
from monai_proto.networks.blocks import ClassMemoryBank


def loss_pair_by_pair(features, labels, bank_rows, feature_weights=None, memory_weights=None):
    """
    The definition, pair by pair in Python: mean_ij(w_i v_j (1 - cos(f_i, m_j))) of each class with at least two rows on
    both sides, weights rescaled to mean 1, summed and divided by the number of classes.
    """
    total = torch.zeros((), dtype=torch.float64)
    for c, memory in enumerate(bank_rows):
        own = [i for i in range(len(labels)) if labels[i] == c]
        if len(own) < 2 or len(memory) < 2:
            continue
        w = torch.ones(len(own)).double() if feature_weights is None else feature_weights[own].double()
        v = torch.ones(len(memory)).double() if memory_weights is None else memory_weights[c].double()
        w, v = w * len(own) / w.sum(), v * len(memory) / v.sum()
        term = torch.zeros((), dtype=torch.float64)
        for a, i in enumerate(own):
            for j in range(len(memory)):
                f, m = features[i].double(), memory[j].double()
                cosine = (f * m).sum() / (f.square().sum().sqrt() * m.square().sum().sqrt())
                term = term + w[a] * v[j] * (1 - cosine)
        total = total + term / (len(own) * len(memory))
    return total / len(bank_rows)


def rows_of(bank):
    return [bank.rows[c, : bank.counts[c]] for c in range(bank.num_classes)]


def make_case(num_rows=40, num_classes=3, dim=5, k=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    bank = ClassMemoryBank(num_classes, dim, k)
    bank.update(torch.randn(30, dim, generator=generator), torch.randint(0, num_classes, (30,), generator=generator))
    features = torch.randn(num_rows, dim, generator=generator)
    labels = torch.randint(-1, num_classes, (num_rows,), generator=generator)
    return features, labels, bank


def golden_parts(golden):
    """Loss with the fixture's selectors, in evaluation mode, and a bank with its memory."""
    loss = MemoryBankContrastiveLoss(3, 16, use_learned_selector=True).eval()
    for c in range(3):
        for prefix, selectors in (
            (f"contrastive_class_selector_{c}/", loss.feature_selectors),
            (f"contrastive_class_selector_memory{c}/", loss.memory_selectors),
        ):
            state = {k[len(prefix) :]: torch.as_tensor(v) for k, v in golden.items() if k.startswith(prefix)}
            selectors[c].load_state_dict(state)
    bank = ClassMemoryBank(3, 16, 8, selection="first")
    memory = [torch.from_numpy(golden[f"memory/{c}"]) for c in range(3)]
    bank.update(torch.cat(memory), torch.cat([torch.full((len(rows),), c) for c, rows in enumerate(memory)]))
    return loss, bank, torch.from_numpy(golden["features"]).requires_grad_(), torch.from_numpy(golden["labels"])


def test_golden_learned(memory_contrast_golden):
    golden = memory_contrast_golden
    loss, bank, features, labels = golden_parts(golden)
    value = loss(features, labels, bank)
    value.backward()
    assert value.item() == pytest.approx(float(golden["loss"]), abs=1e-5)
    torch.testing.assert_close(features.grad, torch.from_numpy(golden["grad_features"]), rtol=0, atol=1e-5)
    for c, selector in enumerate(loss.feature_selectors):
        for name, parameter in selector.named_parameters():
            expected = torch.from_numpy(golden[f"grad/contrastive_class_selector_{c}/{name}"])
            torch.testing.assert_close(parameter.grad, expected, rtol=0, atol=1e-5)
            assert expected.abs().max() > 1e-5 or name == "3.bias"
    assert all(p.grad is None for p in loss.memory_selectors.parameters())


def test_golden_plain(memory_contrast_golden):
    golden = memory_contrast_golden
    _, bank, features, labels = golden_parts(golden)
    value = MemoryBankContrastiveLoss(3)(features, labels, bank)
    value.backward()
    assert value.item() == pytest.approx(float(golden["loss_plain"]), abs=1e-5)
    torch.testing.assert_close(features.grad, torch.from_numpy(golden["grad_features_plain"]), rtol=0, atol=1e-5)


def test_golden_skipped_classes(memory_contrast_golden):
    golden = memory_contrast_golden
    _, bank, features, _ = golden_parts(golden)
    bank.rows[1], bank.counts[1] = 0, 0
    bank.rows[2, 1:], bank.counts[2] = 0, 1
    value = MemoryBankContrastiveLoss(3)(features, torch.from_numpy(golden["labels_skip"]), bank)
    assert value.item() == pytest.approx(float(golden["loss_skip"]), abs=1e-5)


@pytest.mark.parametrize("memory_weighting", ["reference", "corrected"])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("learned", [False, True])
def test_value_and_gradients_pair_by_pair(learned, training, memory_weighting):
    features, labels, bank = make_case()
    bank.rows[0, 2:], bank.counts[0] = 0, 2  # not all classes fill their places
    torch.manual_seed(0)
    loss = MemoryBankContrastiveLoss(3, 5, learned, memory_weighting).train(training)
    oracle = copy.deepcopy(loss)
    results = []
    for module, pairwise in ((loss, False), (oracle, True)):
        rows = features.clone().requires_grad_()
        if pairwise:
            w, v = None, None
            if learned:
                w = torch.zeros(len(rows))
                for c in range(3):
                    w = w.index_put(
                        ((labels == c).nonzero()[:, 0],),
                        module.feature_selectors[c](rows[labels == c]).sigmoid().squeeze(1),
                    )
            if learned and memory_weighting == "corrected":
                v = [s(m).sigmoid().squeeze(1) for s, m in zip(module.memory_selectors, rows_of(bank), strict=True)]
            value = loss_pair_by_pair(rows, labels, rows_of(bank), w, v)
        else:
            value = module(rows, labels, bank)
        value.backward()
        results.append((value.detach(), rows.grad, {n: p.grad for n, p in module.named_parameters()}))
    (value, gradient, of_weights), (expected, expected_gradient, expected_of_weights) = results
    assert value.item() == pytest.approx(expected.item(), abs=1e-5)
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-4, atol=1e-6)
    for name, wanted in expected_of_weights.items():
        if wanted is None:
            assert of_weights[name] is None
        else:
            torch.testing.assert_close(of_weights[name], wanted, rtol=1e-3, atol=1e-6, msg=name)
    reached = [p.grad.abs().sum() > 0 for p in loss.memory_selectors.parameters() if p.grad is not None]
    assert len(reached) == (18 if learned and memory_weighting == "corrected" else 0)
    assert not reached or sum(reached) >= 12


def test_corrected_weighting_changes_the_loss():
    features, labels, bank = make_case()
    torch.manual_seed(0)
    corrected = MemoryBankContrastiveLoss(3, 5, True, "corrected").eval()
    reference = MemoryBankContrastiveLoss(3, 5, True, "reference").eval()
    reference.load_state_dict(corrected.state_dict())
    assert abs(corrected(features, labels, bank) - reference(features, labels, bank)) > 1e-4


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 1000),
    num_rows=st.integers(1, 40),
    weighted=st.booleans(),
    scale=st.floats(1e-3, 1e3),
)
def test_invariants(seed, num_rows, weighted, scale):
    features, labels, bank = make_case(num_rows, seed=seed)
    weights = torch.rand(num_rows, generator=torch.Generator().manual_seed(seed)) + 0.1 if weighted else None

    def value(features, labels, weights, bank=bank):
        return memory_bank_contrastive_loss(features, labels, bank.class_means(), bank.counts, weights).item()

    expected = value(features, labels, weights)
    assert expected == pytest.approx(loss_pair_by_pair(features, labels, rows_of(bank), weights).item(), abs=1e-5)
    assert -1e-6 <= expected <= 2 + 1e-6
    order = torch.randperm(num_rows)
    assert value(features[order], labels[order], weights[order] if weighted else None) == pytest.approx(
        expected, abs=1e-5
    )
    assert value(features * scale, labels, weights) == pytest.approx(expected, abs=1e-5)
    if weighted:
        assert value(features, labels, weights * scale) == pytest.approx(expected, abs=1e-5)
    longer = copy.deepcopy(bank)
    longer.rows *= scale
    assert value(features, labels, weights, longer) == pytest.approx(expected, abs=1e-5)
    noise = torch.where((labels == -1).unsqueeze(1), 100.0, features)  # what ignored rows hold does not matter
    assert value(noise, labels, weights) == pytest.approx(expected, abs=1e-6)


def test_features_equal_to_the_bank_and_opposite_to_it():
    row = torch.tensor([[3.0, 4.0]])
    bank = ClassMemoryBank(1, 2, 2)
    bank.update(row.repeat(2, 1), torch.zeros(2, dtype=torch.long))
    loss = MemoryBankContrastiveLoss(1)
    for factor, expected in ((5, 0), (-1, 2)):
        assert loss(factor * row.repeat(3, 1), torch.zeros(3, dtype=torch.long), bank).item() == pytest.approx(expected)


@pytest.mark.parametrize("learned", [False, True])
@pytest.mark.parametrize("labels", [[], [-1, -1, -1], [0, 1, 2], [0, 1, -1]], ids=str)
def test_nothing_to_compare_gives_zero_and_no_nan(labels, learned):
    """No rows, all ignored, a single voxel of each class."""
    loss = MemoryBankContrastiveLoss(3, 5, learned, memory_weighting="corrected")
    _, _, bank = make_case()
    features = torch.randn(len(labels), 5, requires_grad=True)
    value = loss(features, torch.tensor(labels, dtype=torch.long), bank)
    value.backward()
    assert value.item() == 0
    assert not features.grad.any()
    assert features.grad.isfinite().all()
    assert all(p.grad is None or p.grad.isfinite().all() for p in loss.parameters())


@pytest.mark.parametrize("learned", [False, True])
def test_empty_bank_gives_zero_and_finite_gradients(learned):
    loss = MemoryBankContrastiveLoss(2, 4, learned, memory_weighting="corrected")
    features = torch.randn(10, 4, requires_grad=True)
    value = loss(features, torch.arange(10) % 2, ClassMemoryBank(2, 4))
    value.backward()
    assert value.item() == 0
    assert not features.grad.any()
    assert all(p.grad is None or p.grad.isfinite().all() for p in loss.parameters())


@pytest.mark.parametrize("learned", [False, True])
def test_bfloat16_autocast(learned):
    features, labels, bank = make_case(500)
    loss = MemoryBankContrastiveLoss(3, 5, learned).eval()
    rows = features.bfloat16().requires_grad_()
    expected = loss(rows.detach().float(), labels, bank)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = loss(rows, labels, bank)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, expected)
    value.backward()
    assert rows.grad.dtype == torch.bfloat16
    assert rows.grad.any()


def test_score_is_the_sigmoid_of_the_own_classs_selector():
    torch.manual_seed(0)
    loss = MemoryBankContrastiveLoss(3, 5, use_learned_selector=True)
    features, labels, _ = make_case()
    state = copy.deepcopy(loss.state_dict())
    scores = loss.score(features, labels)
    for name, value in loss.state_dict().items():
        assert torch.equal(value, state[name])
    loss.eval()
    for i, label in enumerate(labels.tolist()):
        expected = loss.feature_selectors[label](features[i : i + 1]).sigmoid().item() if label >= 0 else 0
        assert scores[i].item() == pytest.approx(expected, abs=1e-5)
    assert not scores.requires_grad


@pytest.mark.parametrize(
    ("features", "labels", "message"),
    [
        (torch.full((2, 5), math.nan), torch.zeros(2, dtype=torch.long), "features must be finite"),
        (torch.full((2, 5), math.inf), torch.zeros(2, dtype=torch.long), "features must be finite"),
        (torch.ones(2, 4), torch.zeros(2, dtype=torch.long), r"features must have shape \(N, 5\), got \(2, 4\)"),
        (torch.ones(2, 5), torch.zeros(2), "labels must be integers"),
        (torch.ones(2, 5), torch.zeros(2, 1, dtype=torch.long), r"labels must have shape \(2,\)"),
        (torch.ones(2, 5), torch.tensor([0, 3]), "labels must be in 0 .. 2"),
        (torch.ones(2, 5), torch.tensor([-3, 0]), "labels must be in 0 .. 2"),
    ],
)
@pytest.mark.parametrize("learned", [False, True])
def test_forward_and_score_refuse(features, labels, message, learned):
    loss, bank = MemoryBankContrastiveLoss(3, 5, learned), make_case()[2]
    state = copy.deepcopy(loss.state_dict())
    with pytest.raises(ValueError, match=message):
        loss(features, labels, bank)
    if learned:
        with pytest.raises(ValueError, match=message):
            loss.score(features, labels)
    for name, value in loss.state_dict().items():
        assert torch.equal(value, state[name])


def test_refuses_a_bank_of_other_classes():
    with pytest.raises(ValueError, match="bank must have 4 classes, got 3"):
        MemoryBankContrastiveLoss(4)(torch.ones(2, 5), torch.zeros(2, dtype=torch.long), make_case()[2])


def test_constructor_and_score_refuse():
    with pytest.raises(ValueError, match="feature_dim must be given"):
        MemoryBankContrastiveLoss(3, use_learned_selector=True)
    with pytest.raises(ValueError, match=r"memory_weighting must be one of .*got 'paper'"):
        MemoryBankContrastiveLoss(3, memory_weighting="paper")
    with pytest.raises(ValueError, match="use_learned_selector=True"):
        MemoryBankContrastiveLoss(3).score(torch.ones(2, 5), torch.zeros(2, dtype=torch.long))


@pytest.mark.parametrize("learned", [False, True])
def test_nothing_waits_for_an_accelerator(learned, monkeypatch):
    """Tensors on the device "meta" have no values: whatever asks for one, or for a shape that depends on one, fails."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: contextlib.nullcontext())  # does not know the device
    loss, bank = MemoryBankContrastiveLoss(3, 8, learned, "corrected").to("meta"), ClassMemoryBank(3, 8, 4).to("meta")
    features = torch.randn(1000, 8, device="meta", requires_grad=True)
    labels = torch.randint(0, 3, (1000,), device="meta")
    bank.update(features, labels, loss.score(features, labels) if learned else None)
    value = loss(features, labels, bank)
    value.backward()
    assert features.grad.shape == features.shape
    with pytest.raises(RuntimeError):
        value.item()


def test_loss_does_not_change_the_bank():
    features, labels, bank = make_case()
    before = copy.deepcopy(bank.state_dict())
    MemoryBankContrastiveLoss(3, 5, True, "corrected")(features.requires_grad_(), labels, bank).backward()
    for name, value in bank.state_dict().items():
        assert torch.equal(value, before[name])


def test_state_dict_refuses_another_number_of_classes():
    loss = MemoryBankContrastiveLoss(3, 5, use_learned_selector=True)
    same = MemoryBankContrastiveLoss(3, 5, use_learned_selector=True)
    same.load_state_dict(loss.state_dict())
    for ours, theirs in zip(loss.parameters(), same.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    with pytest.raises(RuntimeError, match=r"feature_selectors\.2"):
        MemoryBankContrastiveLoss(2, 5, use_learned_selector=True).load_state_dict(loss.state_dict())
