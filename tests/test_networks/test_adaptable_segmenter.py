from __future__ import annotations

import copy

import pytest
import torch

pytest.importorskip("segment_anything", reason="segment-anything is not installed (extra sam)")
pytest.importorskip("timm", reason="timm is not installed (extra sam)")

from tiny_sam import tiny_lite_medsam

from monai_proto.networks.nets import AdaptableSegmenter

IMAGES = torch.rand(2, 3, 40, 56, generator=torch.Generator().manual_seed(0)) * 255
BOXES = torch.tensor([[5.0, 5, 30, 30], [10, 8, 50, 39]])


def network_of(k=2, seed=0):
    return AdaptableSegmenter(tiny_lite_medsam(seed=seed), k, projection_dim=8).eval()


@pytest.mark.parametrize("k", [0, 1, 2, 5])
def test_state_holds_what_trains_and_restores_it(k):
    network = network_of(k)
    state = {name: value.clone() for name, value in network.state_dict().items()}
    trained = {f"sam_image_encoder.{n}" for n, v in network.image_encoder.named_parameters() if v.requires_grad}
    assert trained == {n for n in state if n.startswith("sam_") and n in trained}
    assert {name.split(".")[0] for name in state} == {"sam_image_encoder", "proj"}
    expected = network(IMAGES, BOXES)
    with torch.no_grad():
        for value in network.parameters():
            if value.requires_grad:
                value.mul_(1.5)
    assert not torch.allclose(network(IMAGES, BOXES), expected)
    assert not network.load_state_dict(state).missing_keys
    assert torch.equal(network(IMAGES, BOXES), expected)


def test_frozen_part_is_the_models_own():
    first, other = network_of(2), network_of(2, seed=5)
    other.load_state_dict(first.state_dict())
    assert torch.equal(other.student.suffix[0].attn.qkv.weight, first.student.suffix[0].attn.qkv.weight)
    assert not torch.equal(
        other.image_encoder.patch_embed.seq[0].c.weight
        if hasattr(other.image_encoder.patch_embed, "seq")
        else next(other.prefix.parameters()),
        next(first.prefix.parameters()),
    )


def test_checkpoint_of_another_k_does_not_fit():
    with pytest.raises(RuntimeError, match="Missing key"):
        network_of(2).load_state_dict(network_of(1).state_dict())
    with pytest.raises(RuntimeError, match=r"Unexpected key|Missing key"):
        network_of(1).load_state_dict({"something": torch.zeros(1)})


def test_state_dict_of_a_wrapped_network():
    network = network_of(1)
    wrapped = torch.nn.ModuleDict({"module": network})
    assert {f"module.{name}" for name in network.state_dict()} == set(wrapped.state_dict())
    wrapped.load_state_dict(copy.deepcopy(wrapped.state_dict()))


def test_features_and_images_give_the_same():
    network = network_of()
    adapted = network(features=network.embed_prefix(IMAGES))
    torch.testing.assert_close(network.segment(adapted.embedding, (40, 56), BOXES), network(IMAGES, BOXES))
    torch.testing.assert_close(adapted.projection.norm(dim=1), torch.ones(2, 16, 16))


def test_without_a_prompt_the_whole_image_is_one():
    network = network_of()
    assert torch.equal(network(IMAGES), network(IMAGES, torch.tensor([[0.0, 0, 56, 40]] * 2)))
    assert network(IMAGES).shape == (2, 1, 40, 56)


def test_copies_are_frozen_for_good_and_separate():
    network = network_of()
    copied = network.copy_student()
    copied.train()
    assert not any(module.training for module in copied.modules())
    assert not any(value.requires_grad for value in copied.parameters())
    assert {id(v) for v in copied.parameters()}.isdisjoint({id(v) for v in network.parameters()})


def test_exactly_one_input():
    with pytest.raises(ValueError, match="either images or features"):
        network_of()()
