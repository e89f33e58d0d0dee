"""Two gloo processes with images of their own: networks, terms and what terms own stay the same on both."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.distributed as dist
from monai.networks.nets import UNet
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from monai_proto.engines import SemiSupervisedTrainer
from monai_proto.losses import MemoryBankContrastiveLoss
from monai_proto.losses.terms import (
    CompactnessTerm,
    ContrastiveTerm,
    CopyPasteTerm,
    CrossPseudoTerm,
    LabelledVoxelBank,
    MixedView,
    PrototypeClassifierTerm,
    SupervisedTerm,
    Term,
    VATTerm,
    WeakToStrongTerm,
    WeightedTerms,
)
from monai_proto.networks.blocks import ClassMemoryBank
from monai_proto.networks.nets import ProjectedSegmentationNet
from monai_proto.optimizers import term_parameter_groups
from monai_proto.transforms import RandBidirectionalCopyPaste

CLASSES, DIM = 3, 4


def make_network() -> ProjectedSegmentationNet:
    return ProjectedSegmentationNet(UNet(2, 1, CLASSES, (4, 8), (2,), num_res_units=1), DIM)


def bank_terms() -> list[Term]:
    memory = LabelledVoxelBank(
        ClassMemoryBank(CLASSES, DIM, 4), MemoryBankContrastiveLoss(CLASSES, DIM, use_learned_selector=True)
    )
    mixed = MixedView(RandBidirectionalCopyPaste())
    return [CopyPasteTerm(mixed), ContrastiveTerm(memory, mixed), CompactnessTerm(memory)]


def batches(rank: int, count: int) -> list[dict]:
    generator = torch.Generator().manual_seed(rank)
    made = []
    for _ in range(count):
        labels = torch.randint(0, CLASSES, (2, 1, 8, 8), generator=generator)
        image, strong, strong_2 = torch.randn(3, 2, 1, 8, 8, generator=generator)
        unlabelled = {"image": image, "image_strong": strong, "image_strong_2": strong_2}
        made.append({"labelled": {"image": labels + 0.1 * image, "label": labels}, "unlabelled": unlabelled})
    return made


def train(rank: int, steps: int, all_terms: bool, wrap=lambda module: module) -> dict[str, dict[str, torch.Tensor]]:
    torch.manual_seed(0)
    network, second = make_network(), make_network()
    teacher = copy.deepcopy(network).requires_grad_(False)
    terms: list[Term] = [SupervisedTerm(), CrossPseudoTerm(second)]
    if all_terms:
        terms += [*bank_terms(), VATTerm(), WeakToStrongTerm(confidence=0.4), PrototypeClassifierTerm(CLASSES, DIM, 2)]
    else:  # at weight 0 it moves nothing, and DistributedDataParallel sees all parts of the network used
        memory = LabelledVoxelBank(ClassMemoryBank(CLASSES, DIM), MemoryBankContrastiveLoss(CLASSES))
        terms.append(ContrastiveTerm(memory, weight=0.0))
    weighted = WeightedTerms(terms)
    SemiSupervisedTrainer(
        "cpu",
        1,
        batches(rank, steps),
        wrap(network),
        torch.optim.SGD(term_parameter_groups(network, weighted, 0.1)),
        wrap(weighted),
        teacher=teacher,
        ramp_up_epochs=0,
    ).run()
    return {"network": dict(network.named_parameters()), "terms": weighted.state_dict()}


def wrap(module: nn.Module) -> DistributedDataParallel:
    """As the bundles' multi_gpu_train.json does."""
    return DistributedDataParallel(module, find_unused_parameters=isinstance(module, WeightedTerms))


def worker(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
    results = {"one_step": train(rank, 1, False, wrap), "all_terms": train(rank, 3, True, wrap)}
    torch.save(results, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> list[dict]:
    folder = tmp_path_factory.mktemp("gloo")
    torch.multiprocessing.spawn(worker, args=(str(folder),), nprocs=2)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


def test_a_step_is_the_mean_of_the_steps_of_both(results):
    """Of the network, and of the network that a term owns."""
    alone = [train(rank, 1, False) for rank in range(2)]
    for part, names in (("network", alone[0]["network"]), ("terms", alone[0]["terms"])):
        for name in names:
            if "contrastive" in name:
                continue
            mean = (alone[0][part][name] + alone[1][part][name]) / 2
            for result in results:
                torch.testing.assert_close(result["one_step"][part][name].to(mean), mean, rtol=1e-4, atol=1e-5)


def test_both_processes_end_with_the_same(results):
    first, second = (result["all_terms"] for result in results)
    for part in ("network", "terms"):
        for name, value in first[part].items():
            if "running" not in name and "num_batches" not in name:  # the selectors' statistics are those of a rank
                torch.testing.assert_close(value, second[part][name], msg=name)
    assert first["terms"]["contrastive.memory.bank.counts"].sum() > 0
    assert first["terms"]["prototype_classifier.moved"].any()
