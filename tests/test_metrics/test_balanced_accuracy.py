from __future__ import annotations

import pytest
import torch
import torch.multiprocessing as mp
from hypothesis import given, settings
from hypothesis import strategies as st
from ignite import distributed as idist
from ignite.exceptions import NotComputableError
from ignite.metrics import ConfusionMatrix
from monai.data import DataLoader, Dataset
from monai.engines import SupervisedEvaluator
from monai.handlers import from_engine

from monai_proto.metrics import BalancedAccuracy, balanced_accuracy, confusion_matrix, selective_balanced_accuracy


def balanced_accuracy_by_loop(predictions, labels):
    recalls = []
    for c in sorted(set(labels)):
        own = [p for p, y in zip(predictions, labels, strict=True) if y == c]
        recalls.append(own.count(c) / len(own))
    return sum(recalls) / len(recalls)


pairs = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30)


@settings(max_examples=40, deadline=None)
@given(pairs)
def test_mean_recall_over_the_classes_present(pairs):
    predictions, labels = map(list, zip(*pairs, strict=True))
    value = balanced_accuracy(torch.tensor(predictions), torch.tensor(labels), 4)
    assert value == pytest.approx(balanced_accuracy_by_loop(predictions, labels))


@settings(max_examples=20, deadline=None)
@given(pairs)
def test_confusion_matrix_is_ignite_s(pairs):
    predictions, labels = (torch.tensor(values) for values in zip(*pairs, strict=True))
    metric = ConfusionMatrix(4)
    metric.update((torch.eye(4)[predictions], labels))
    assert torch.equal(confusion_matrix(predictions, labels, 4), metric.compute())


class Identity(torch.nn.Module):
    def forward(self, x):
        return x


@pytest.mark.parametrize("decollate", [True, False])
def test_key_metric_of_a_monai_evaluator(decollate):
    scores = torch.randn(11, 3, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 0])
    items = [{"image": s, "label": int(y)} for s, y in zip(scores, labels, strict=True)]
    evaluator = SupervisedEvaluator(
        device=torch.device("cpu"),
        val_data_loader=DataLoader(Dataset(items), batch_size=4),
        network=Identity(),
        key_val_metric={"val_balanced_accuracy": BalancedAccuracy(3, from_engine(["pred", "label"]))},
        decollate=decollate,
    )
    evaluator.run()
    expected = balanced_accuracy(scores.argmax(1), labels, 3)
    assert evaluator.state.best_metric == pytest.approx(expected)
    assert evaluator.state.key_metric_name == "val_balanced_accuracy"


def test_epochs_do_not_mix():
    metric = BalancedAccuracy(2)
    with pytest.raises(NotComputableError):
        metric.compute()
    metric.update((torch.eye(2), torch.tensor([1, 0])))
    assert metric.compute() == 0
    metric.reset()
    metric.update((torch.eye(2), torch.tensor([[0], [1]])))
    assert metric.compute() == 1


def _compute_on_rank(rank, world_size, folder):
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=world_size)
    metric = BalancedAccuracy(2)
    # the processes have different numbers of cases
    labels = torch.tensor([0, 0, 0]) if rank == 0 else torch.tensor([1])
    metric.update((torch.tensor([[1.0, 0.0]]).expand(len(labels), 2), labels))
    torch.save(metric.compute(), f"{folder}/{rank}.pt")
    idist.finalize()


def test_cases_of_all_processes_count(tmp_path):
    # forked: importing torch and MONAI anew takes longer than the test
    mp.start_processes(_compute_on_rank, (2, str(tmp_path)), nprocs=2, start_method="fork")
    assert [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)] == [0.5, 0.5]


@settings(max_examples=40, deadline=None)
@given(pairs, st.floats(0.05, 1.0), st.integers(0, 1000))
def test_selective_keeps_the_surest(pairs, coverage, seed):
    predictions, labels = map(list, zip(*pairs, strict=True))
    uncertainty = torch.rand(len(labels), generator=torch.Generator().manual_seed(seed))
    result = selective_balanced_accuracy(
        torch.tensor(predictions), torch.tensor(labels), uncertainty, num_classes=4, coverage=coverage
    )
    kept = uncertainty.argsort()[: max(1, round(coverage * len(labels)))].tolist()
    kept_labels = [labels[i] for i in kept]
    assert result.value == pytest.approx(balanced_accuracy_by_loop([predictions[i] for i in kept], kept_labels))
    assert result.kept == len(kept)
    assert result.threshold == uncertainty[kept[-1]]
    assert result.vanished_classes == tuple(sorted(set(labels) - set(kept_labels)))


@settings(max_examples=30, deadline=None)
@given(pairs, st.randoms(use_true_random=False))
def test_tied_cases_count_in_part_whatever_their_order(pairs, random):
    cases = [(*pair, i % 3 / 3) for i, pair in enumerate(pairs)]
    values = []
    for order in (cases, random.sample(cases, len(cases))):
        predictions, labels, uncertainty = map(torch.tensor, zip(*order, strict=True))
        values.append(selective_balanced_accuracy(predictions, labels, uncertainty, 4, coverage=0.5).value)
    assert values[0] == pytest.approx(values[1])


def test_selective_with_constant_uncertainty_is_the_ordinary_one():
    predictions, labels = torch.tensor([0, 1, 1, 0, 0]), torch.tensor([0, 1, 0, 1, 0])
    result = selective_balanced_accuracy(predictions, labels, torch.zeros(5), 2, coverage=0.6)
    assert result.value == pytest.approx(balanced_accuracy(predictions, labels, 2))
    assert (result.kept, result.vanished_classes) == (3, ())


@pytest.mark.parametrize(
    ("predictions", "labels", "message"),
    [
        (torch.zeros(0).long(), torch.zeros(0).long(), r"predictions must have shape \(N,\) with N at least 1"),
        (torch.tensor([0, 3]), torch.tensor([0, 1]), r"predictions must be in 0 \.\. 2, got values from 0 to 3"),
        (torch.tensor([0, 1]), torch.tensor([0, -1]), r"labels must be in 0 \.\. 2, got values from -1"),
        (torch.tensor([0, 1]), torch.tensor([0]), r"labels must have shape \(2,\)"),
        (torch.tensor([0.0, 1.0]), torch.tensor([0, 1]), "predictions must be integers"),
    ],
)
def test_bad_answers(predictions, labels, message):
    for metric in (
        lambda: balanced_accuracy(predictions, labels, 3),
        lambda: selective_balanced_accuracy(predictions, labels, torch.zeros(len(predictions)), 3),
    ):
        with pytest.raises(ValueError, match=message):
            metric()


def test_other_bad_input():
    answers = torch.tensor([0, 1])
    with pytest.raises(ValueError, match="num_classes must be at least 2, got 1"):
        balanced_accuracy(answers, answers, 1)
    with pytest.raises(ValueError, match=r"uncertainty must have shape \(2,\)"):
        selective_balanced_accuracy(answers, answers, torch.zeros(3), 2)
    for coverage in (0.0, 1.1, float("nan")):
        with pytest.raises(ValueError, match="coverage must be above 0 and at most 1"):
            selective_balanced_accuracy(answers, answers, torch.zeros(2), 2, coverage)
    with pytest.raises(ValueError, match=r"labels must be in 0 \.\. 1"):
        BalancedAccuracy(2).update((torch.eye(2), torch.tensor([0, 2])))
    with pytest.raises(ValueError, match=r"y_pred must be class scores \(B, 2\), got \(2,\)"):
        BalancedAccuracy(2).update((torch.ones(2), torch.tensor([0, 1])))
