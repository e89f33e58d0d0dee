"""Two gloo processes on one machine against one process that has the rows of both."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from monai_proto.losses import MemoryBankContrastiveLoss
from monai_proto.networks.blocks import ClassMemoryBank

NUM_CLASSES, DIM, K = 5, 4, 6
SPLIT = (30, 90)  # rows of each rank
CASES = [("highest", "replace"), ("lowest", "replace"), ("highest", "fifo")]


def make_rows(step):
    """Rows, labels and distinct scores of both ranks: class 2 lies on rank 1 only, class 3 has few rows, 4 has none."""
    generator = torch.Generator().manual_seed(step)
    features = torch.randn(sum(SPLIT), DIM, generator=generator)
    labels = torch.randint(-1, 3, (sum(SPLIT),), generator=generator)
    labels[: SPLIT[0]][labels[: SPLIT[0]] == 2] = 0
    labels[[5, 60, 61]] = 3
    return features, labels, torch.randperm(sum(SPLIT), generator=generator) / sum(SPLIT)


def make_loss():
    torch.manual_seed(0)
    return MemoryBankContrastiveLoss(NUM_CLASSES, DIM, use_learned_selector=True, memory_weighting="corrected")


def filled(selection, policy, parts):
    bank = ClassMemoryBank(NUM_CLASSES, DIM, K, policy=policy, selection=selection)
    for step in range(2):
        bank.update(*(tensor[parts] for tensor in make_rows(step)))
    return bank


def worker(rank, folder):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
    part = slice(0, SPLIT[0]) if rank == 0 else slice(SPLIT[0], None)
    banks = [filled(selection, policy, part) for selection, policy in CASES]

    loss = DistributedDataParallel(make_loss())
    optimizer = torch.optim.SGD(loss.parameters(), lr=0.5)
    gradients = []
    for step in range(2):  # the second step fails if the first one left a parameter without its gradient
        features, labels, _ = make_rows(step)
        optimizer.zero_grad()
        loss(features[part].requires_grad_(), labels[part], banks[0]).backward()
        gradients.append([p.grad.clone() for p in loss.parameters()])
        optimizer.step()
    result = {
        "banks": [bank.state_dict() for bank in banks],
        "gradients": gradients[0],
        "weights": [p.detach() for p in loss.parameters()],
    }
    torch.save(result, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gloo")
    torch.multiprocessing.spawn(worker, args=(str(folder),), nprocs=2)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


@pytest.mark.parametrize("case", range(len(CASES)))
def test_both_ranks_have_the_bank_of_all_rows(results, case):
    first, second = (result["banks"][case] for result in results)
    assert torch.equal(first["rows"], second["rows"])
    assert torch.equal(first["counts"], second["counts"])

    expected = filled(*CASES[case], slice(None))
    assert torch.equal(first["counts"], expected.counts)
    assert expected.counts[2] == K
    assert 0 < expected.counts[3] <= K
    assert expected.counts[4] == 0
    for c in range(NUM_CLASSES):
        # a class that fits keeps its rows in an order of its own: compare them as sets
        rows = [sorted(bank[c, : expected.counts[c]].tolist()) for bank in (first["rows"], expected.rows)]
        assert rows[0] == rows[1]
    if CASES[case][1] == "replace":
        assert torch.equal(first["rows"][:3], expected.rows[:3])  # ranked by score: in the same order


def test_selectors_in_ddp_get_mean_gradients_and_equal_weights(results):
    for weights in zip(results[0]["weights"], results[1]["weights"], make_loss().parameters(), strict=True):
        assert torch.equal(weights[0], weights[1])
    bank, features, labels = filled(*CASES[0], slice(None)), *make_rows(0)[:2]
    gradients = []
    for part in (slice(0, SPLIT[0]), slice(SPLIT[0], None)):
        loss = copy.deepcopy(make_loss())
        loss(features[part], labels[part], bank).backward()
        gradients.append([p.grad for p in loss.parameters()])
    moved = 0
    for got, *of_rank in zip(results[0]["gradients"], *gradients, strict=True):
        torch.testing.assert_close(got, (of_rank[0] + of_rank[1]) / 2, rtol=1e-3, atol=1e-6)
        moved += bool(got.abs().max() > 1e-5)
    assert moved > NUM_CLASSES
