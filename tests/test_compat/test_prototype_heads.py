from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from monai_proto.compat import Head, HeadClassifier, HeadOptimal
from monai_proto.networks.blocks import PrototypeBank

PARTS = {"ce_loss", "cluster_loss", "sep_loss", "div_loss", "contrastive_loss"}


def features(batch=4):
    torch.manual_seed(0)
    return torch.randn(batch, 1, 12), torch.randn(batch, 9, 12), torch.arange(batch) % 3


@pytest.mark.parametrize("abstention", [False, True])
def test_training_gives_the_loss_and_its_parts(abstention):
    head = HeadOptimal(3, 8, 2, 12, use_abstention=abstention, use_class_balanced=True).train()
    logits, loss, parts = head(*features())
    assert logits.shape == (4, 3)
    assert set(parts) == PARTS | ({"abstention_loss"} if abstention else set())
    scales = head.loss.scales
    expected = parts["ce_loss"] + sum(scales[name] * parts[name] for name in scales if name in parts)
    torch.testing.assert_close(loss.detach(), expected)
    loss.backward()
    assert head.proj.weight.grad.abs().sum() > 0
    assert head.proto_manager.prototypes.grad.abs().sum() > 0


def test_evaluation_gives_zero_and_the_uncertainty():
    head = HeadOptimal(3, 8, 2, 12).eval()
    pooled, patches, labels = features()
    logits, zero, info = head(pooled, patches, labels)
    assert float(zero) == 0
    entropy = torch.distributions.Categorical(logits=logits).entropy()
    torch.testing.assert_close(info["uncertainty"], entropy / math.log(logits.shape[1]))
    assert isinstance(head.proto_manager, PrototypeBank)


def test_labels_are_needed_in_training():
    with pytest.raises(ValueError, match="labels must be given"):
        HeadOptimal(3, 8, 2, 12).train()(*features()[:2])


def test_head_gives_logits_and_loss():
    torch.manual_seed(1)
    head = Head(3, 8, 2, 12).train()
    logits, loss = head(*features())
    torch.testing.assert_close(loss, super(Head, head).forward(*features())[1])
    assert logits.shape == (4, 3)
    assert float(head.eval()(*features()[:2])[1]) == 0


@pytest.mark.parametrize("local", [True, False])
def test_pushes_from_pairs_and_from_dictionaries(local):
    torch.manual_seed(0)
    trunk = nn.Sequential(nn.Conv2d(3, 12, 4, stride=4), nn.BatchNorm2d(12))
    network = HeadClassifier(trunk, HeadOptimal(2, 8, 2, 12, num_prototypes=2, max_prototypes=2)).train()
    images, labels = torch.randn(6, 3, 8, 8), torch.tensor([0, 1, 0, 1, 0, 1])
    pairs = [(images[:4], labels[:4]), (images[4:], labels[4:])]
    report = network.push_prototypes(pairs, "cpu", use_local=local, momentum=0.0)
    assert network.training
    assert [p.slot for p in report.pushed] == [0, 1, 2, 3]
    for pushed in report.pushed:
        assert int(pushed.image_id) % 2 == pushed.label
        assert pushed.distance < 1e-3
        assert local or pushed.patch_index == 0
    named = [{"image": images, "label": labels, "image_id": list("abcdef")}]
    assert {p.image_id for p in network.push_prototypes_local(named, "cpu").pushed} <= set("abcdef")


def test_trains_a_step_on_images():
    trunk = nn.Conv2d(3, 12, 4, stride=4)
    network = HeadClassifier(trunk, Head(2, 8, 2, 12)).train()
    _, loss = network(torch.randn(2, 3, 8, 8), torch.tensor([0, 1]))
    loss.backward()
    assert trunk.weight.grad.abs().sum() > 0
