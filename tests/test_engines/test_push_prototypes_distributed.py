"""Two gloo processes with half of the images each against one process that has all of them."""

from __future__ import annotations

import pytest
import torch
import torch.distributed as dist

from monai_proto.engines import push_prototypes
from monai_proto.networks.blocks import PrototypeBank

IMAGES, SPLIT = 13, 5


def make():
    torch.manual_seed(3)
    bank = PrototypeBank(3, 6, 2, 3)
    features, labels = torch.randn(IMAGES, 4, 6), torch.randint(0, 2, (IMAGES,))
    labels[-1] = 2  # a class that the second process alone has
    return bank, features, labels


def push(part):
    bank, features, labels = make()
    ids = [f"bild_{i:02d}_ä" for i in range(IMAGES)]
    report = push_prototypes(bank, [(features[part], labels[part], ids[part])], 0.5, None)
    return {
        "prototypes": bank.prototypes.detach(),
        "sources": [(p.slot, p.image_id, p.patch_index) for p in report.pushed],
        "counts": report.patches_per_class,
    }


def worker(rank, folder):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
    torch.save(push(slice(0, SPLIT) if rank == 0 else slice(SPLIT, None)), f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gloo")
    torch.multiprocessing.spawn(worker, args=(str(folder),), nprocs=2)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


def test_both_processes_end_with_the_bank_of_one(results):
    expected = push(slice(None))
    for result in results:
        torch.testing.assert_close(result["prototypes"], expected["prototypes"])
        assert result["sources"] == expected["sources"]
        assert result["counts"] == expected["counts"]
