from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from monai_proto.losses import MemoryBankContrastiveLoss
from monai_proto.networks.blocks import ClassMemoryBank


def obvious_selection(labels, scores, num_classes, k, selection):
    """Indices that each class keeps, by a plain sort in Python."""
    kept = []
    for c in range(num_classes):
        own = [i for i in range(len(labels)) if labels[i] == c]
        if len(own) > k and selection in ("highest", "lowest") and scores is not None:
            own = sorted(own, key=lambda i: scores[i], reverse=selection == "highest")
        kept.append(own[:k])
    return kept


def numbered_rows(count, dim=3, start=1):
    """Rows that can be told apart: row i is filled with its number."""
    return torch.arange(start, start + count, dtype=torch.float32).unsqueeze(1).expand(-1, dim).clone()


def numbers_in(bank, c):
    return bank.rows[c, : bank.counts[c], 0].int().tolist()


def test_golden_rows_in_order(memory_contrast_golden):
    golden = memory_contrast_golden
    bank = ClassMemoryBank(3, 16, rows_per_class=8, selection="lowest")
    features, labels = torch.from_numpy(golden["features_memory"]), torch.from_numpy(golden["labels_memory"])
    loss = MemoryBankContrastiveLoss(3, 16, use_learned_selector=True)
    for c, selector in enumerate(loss.feature_selectors):
        prefix = f"contrastive_class_selector_{c}/"
        state = {k[len(prefix) :]: torch.as_tensor(v) for k, v in golden.items() if k.startswith(prefix)}
        selector.load_state_dict(state)
    bank.update(features, labels, loss.score(features, labels))
    for c in range(3):
        expected = torch.from_numpy(golden[f"memory/{c}"])
        assert bank.counts[c] == len(expected)
        torch.testing.assert_close(bank.rows[c, : len(expected)], expected, rtol=0, atol=1e-5)
    assert bank.counts[2] < 8  # the fixture's class with fewer rows than places


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    num_rows=st.integers(0, 700),
    num_classes=st.integers(1, 5),
    k=st.integers(1, 40),
    selection=st.sampled_from(["highest", "lowest", "first"]),
    scored=st.booleans(),
)
def test_update_keeps_what_a_plain_sort_keeps(seed, num_rows, num_classes, k, selection, scored):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(-1, num_classes, (num_rows,), generator=generator)
    scores = torch.randperm(num_rows, generator=generator).float() if scored else None  # no ties
    bank = ClassMemoryBank(num_classes, 3, k, selection=selection)
    bank.update(numbered_rows(num_rows), labels, scores)
    expected = obvious_selection(labels.tolist(), scores.tolist() if scored else None, num_classes, k, selection)
    for c in range(num_classes):
        assert numbers_in(bank, c) == [i + 1 for i in expected[c]]
        assert bank.counts[c] <= k
        assert not bank.rows[c, bank.counts[c] :].any()


@pytest.mark.parametrize("spread", [True, False], ids=["far apart", "anywhere"])
def test_the_best_of_many_rows(spread):
    """The best rows lie far apart, each in another part of the rows, or anywhere."""
    torch.manual_seed(0)
    scores, labels = torch.randperm(20_000).float(), torch.randint(0, 2, (20_000,))
    if spread:
        best = torch.arange(0, 20_000, 600)
        scores[best], labels[best] = 30_000.0 + torch.randperm(len(best)), 0
    bank = ClassMemoryBank(2, 3, 30, selection="highest")
    bank.update(numbered_rows(20_000), labels, scores)
    for c, expected in enumerate(obvious_selection(labels.tolist(), scores.tolist(), 2, 30, "highest")):
        assert numbers_in(bank, c) == [i + 1 for i in expected]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.int64])
def test_scores_of_any_type_rank(dtype):
    bank = ClassMemoryBank(1, 3, 2, selection="highest")
    bank.update(numbered_rows(5), torch.zeros(5, dtype=torch.long), torch.tensor([1, 8, 3, 16, 2], dtype=dtype))
    assert numbers_in(bank, 0) == [4, 2]


def test_double_scores_are_not_rounded():
    scores = 1.0 + torch.tensor([1.0, 3.0, 2.0], dtype=torch.float64) * 1e-12
    bank = ClassMemoryBank(1, 3, 2, selection="highest")
    bank.update(numbered_rows(3), torch.zeros(3, dtype=torch.long), scores)
    assert numbers_in(bank, 0) == [2, 3]


def test_random_keeps_distinct_rows_of_the_class_and_follows_the_seed():
    labels = torch.arange(600) % 2

    def draw(seed):
        torch.manual_seed(seed)
        bank = ClassMemoryBank(2, 3, 20, selection="random")
        bank.update(numbered_rows(600), labels, torch.arange(600.0))
        return [numbers_in(bank, c) for c in range(2)]

    first = draw(0)
    for c in range(2):
        assert len(set(first[c])) == 20
        assert all((number - 1) % 2 == c for number in first[c])
    assert draw(0) == first
    assert draw(1) != first
    # all rows are as likely: over 40 draws of 20 of 300 the mean index is near the middle (standard error 3)
    means = [sum(draw(seed)[0]) / 20 for seed in range(40)]
    assert abs(sum(means) / 40 - 300) < 15


def test_absent_class_keeps_its_rows_under_both_policies():
    for policy in ("replace", "fifo"):
        bank = ClassMemoryBank(3, 3, 4, policy=policy)
        bank.update(numbered_rows(6), torch.tensor([0, 0, 1, 1, 1, -1]))
        before = bank.rows[1].clone()
        bank.update(numbered_rows(2, start=50), torch.tensor([0, 2]))
        assert torch.equal(bank.rows[1], before)
        assert bank.counts.tolist() == [1 if policy == "replace" else 3, 3, 1]


def test_replace_drops_old_rows_and_fifo_puts_new_ones_before_them():
    labels = torch.zeros(3, dtype=torch.long)
    replace, fifo = ClassMemoryBank(1, 3, 5, policy="replace"), ClassMemoryBank(1, 3, 5, policy="fifo")
    for bank in (replace, fifo):
        for start in (1, 11, 21):
            bank.update(numbered_rows(3, start=start), labels)
    assert numbers_in(replace, 0) == [21, 22, 23]
    assert numbers_in(fifo, 0) == [21, 22, 23, 11, 12]


@settings(max_examples=25, deadline=None)
@given(sizes=st.lists(st.integers(0, 9), min_size=1, max_size=6), k=st.integers(1, 6))
def test_fifo_is_a_queue(sizes, k):
    bank, queue, start = ClassMemoryBank(1, 3, k, policy="fifo"), [], 1
    for size in sizes:
        bank.update(numbered_rows(size, start=start), torch.zeros(size, dtype=torch.long))
        queue = (list(range(start, start + min(size, k))) + queue)[:k]
        start += size
    assert numbers_in(bank, 0) == queue


def test_ignored_rows_do_not_enter():
    bank = ClassMemoryBank(2, 3, 4, ignore_index=255)
    bank.update(numbered_rows(3), torch.tensor([255, 1, 255]))
    assert bank.counts.tolist() == [0, 1]
    assert numbers_in(bank, 1) == [2]


def test_update_without_rows_changes_nothing():
    bank = ClassMemoryBank(2, 3, 4)
    bank.update(numbered_rows(3), torch.tensor([0, 1, 1]))
    before = {k: v.clone() for k, v in bank.state_dict().items()}
    bank.update(torch.zeros(0, 3), torch.zeros(0, dtype=torch.long), torch.zeros(0))
    bank.update(numbered_rows(4, start=9), torch.full((4,), -1))
    for name, value in bank.state_dict().items():
        assert torch.equal(value, before[name])


def test_rows_are_detached_and_float32():
    bank = ClassMemoryBank(1, 3, 2)
    features = numbered_rows(2).bfloat16().requires_grad_()
    bank.update(features, torch.zeros(2, dtype=torch.long))
    assert bank.rows.dtype == torch.float32
    assert not bank.rows.requires_grad
    features.data.zero_()
    assert numbers_in(bank, 0) == [1, 2]


def test_class_means_are_means_of_unit_rows():
    bank = ClassMemoryBank(3, 4, 5)
    bank.update(torch.randn(7, 4) * 10, torch.tensor([0, 0, 0, 1, -1, 1, -1]))
    means = bank.class_means()
    weights = torch.rand(3, 5)
    weighted = bank.class_means(weights)
    for c, count in enumerate([3, 2]):
        units = [bank.rows[c, j] / bank.rows[c, j].norm() for j in range(count)]
        torch.testing.assert_close(means[c], sum(units) / count)
        torch.testing.assert_close(weighted[c], sum(weights[c, j] * u for j, u in enumerate(units)) / count)
    assert not means[2].any()
    assert bank.row_mask().sum(1).tolist() == [3, 2, 0]


def filled_bank():
    bank = ClassMemoryBank(2, 3, 2)
    bank.update(numbered_rows(4), torch.tensor([0, 0, 1, 1]))
    return bank


@pytest.mark.parametrize(
    ("features", "labels", "scores", "message"),
    [
        (torch.full((2, 3), torch.nan), torch.zeros(2, dtype=torch.long), None, "features must be finite"),
        (torch.tensor([[1.0, torch.inf, 0.0]]), torch.zeros(1, dtype=torch.long), None, "features must be finite"),
        (torch.tensor([[1.0, -torch.inf, torch.inf]]), torch.zeros(1, dtype=torch.long), None, "features must be fini"),
        (torch.ones(2, 4), torch.zeros(2, dtype=torch.long), None, r"features must have shape \(N, 3\), got \(2, 4\)"),
        (torch.ones(2, 3, 1), torch.zeros(2, dtype=torch.long), None, r"features must have shape \(N, 3\)"),
        (torch.ones(2, 3, dtype=torch.long), torch.zeros(2, dtype=torch.long), None, "features must be floating"),
        (torch.ones(2, 3), torch.zeros(3, dtype=torch.long), None, r"labels must have shape \(2,\)"),
        (torch.ones(2, 3), torch.zeros(2), None, "labels must be integers, got torch.float32"),
        (torch.ones(2, 3), torch.zeros(2, dtype=torch.bool), None, "labels must be integers, got torch.bool"),
        (torch.ones(2, 3), torch.tensor([0, 2]), None, "labels must be in 0 .. 1 .*got values from 0 to 2"),
        (torch.ones(2, 3), torch.tensor([-2, 0]), None, "labels must be in 0 .. 1 .*got values from -2 to 0"),
        (torch.ones(2, 3), torch.tensor([0, 1]), torch.ones(3), r"scores must have shape \(2,\), got \(3,\)"),
        (torch.ones(2, 3), torch.tensor([0, 1]), torch.tensor([0.0, torch.nan]), "scores must be finite"),
    ],
)
def test_update_refuses_and_stays_as_it_was(features, labels, scores, message):
    bank, untouched = filled_bank(), filled_bank()
    with pytest.raises(ValueError, match=message):
        bank.update(features, labels, scores)
    assert torch.equal(bank.rows, untouched.rows)
    assert torch.equal(bank.counts, untouched.counts)


def test_large_finite_features_are_taken():
    """Their sum overflows float32, but none of them is infinite."""
    bank = ClassMemoryBank(1, 3, 2)
    bank.update(torch.full((2, 3), 3e38), torch.zeros(2, dtype=torch.long))
    assert bank.counts.tolist() == [2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_classes": 0}, "num_classes must be at least 1, got 0"),
        ({"feature_dim": 0}, "feature_dim must be at least 1"),
        ({"rows_per_class": 0}, "rows_per_class must be at least 1"),
        ({"policy": "queue"}, "policy must be one of .*got 'queue'"),
        ({"selection": "best"}, "selection must be one of .*got 'best'"),
    ],
)
def test_constructor_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        ClassMemoryBank(**{"num_classes": 2, "feature_dim": 3, **arguments})


def test_state_dict_round_trip():
    bank, other = filled_bank(), ClassMemoryBank(2, 3, 2)
    assert set(bank.state_dict()) == {"rows", "counts"}
    other.load_state_dict(bank.state_dict())
    assert torch.equal(other.rows, bank.rows)
    assert torch.equal(other.counts, bank.counts)
    with pytest.raises(RuntimeError, match="size mismatch for rows"):
        ClassMemoryBank(3, 3, 2).load_state_dict(bank.state_dict())


class LargestTensor(TorchDispatchMode):
    """Records the most elements that a result of any operation has, views aside."""

    def __init__(self):
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, (tuple, list)) else [result]:
            if isinstance(tensor, torch.Tensor):
                self.elements = max(self.elements, tensor.untyped_storage().nbytes() // tensor.element_size())
        return result


@pytest.mark.parametrize("learned", [False, True])
def test_no_matrix_of_all_rows_by_bank_rows(learned):
    num_rows, dim, k = 20_000, 4, 64
    bank = ClassMemoryBank(2, dim, k, selection="lowest")
    loss = MemoryBankContrastiveLoss(2, dim, learned, memory_weighting="corrected")
    features, labels = torch.randn(num_rows, dim, requires_grad=True), torch.randint(0, 2, (num_rows,))
    with LargestTensor() as largest:
        bank.update(features, labels, loss.score(features, labels) if learned else None)
        loss(features, labels, bank).backward()
    assert num_rows * dim <= largest.elements < num_rows * k / 4
