from __future__ import annotations

import pytest
import torch

from monai_proto.networks.blocks import MixedAttentionBlock


@pytest.fixture
def block() -> MixedAttentionBlock:
    torch.manual_seed(0)
    return MixedAttentionBlock(embedding_dim=16, num_heads=4).eval()


def test_gate_weights_sum_to_one_and_follow_the_branches(block):
    prototypes, patches = torch.randn(2, 5, 16), torch.randn(2, 9, 16)
    mixed, weights = block.mix(prototypes, patches)
    assert mixed.shape == (2, 5, 16)
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(2, 5))
    assert (weights > 0).all()
    # a gate that ignored its branches would give every image the same weights
    _, other = block.mix(prototypes, torch.randn(2, 9, 16))
    assert (weights - other).abs().max() > 1e-3


def test_each_branch_reaches_the_output(block):
    """With the gate fixed to one branch, the output is that branch."""
    prototypes, patches = torch.randn(1, 5, 16), torch.randn(1, 9, 16)
    queries = block.norm(prototypes)
    expected = [
        block.cross_attention(queries, patches, patches)[0],
        block.self_attention(queries, queries, queries)[0],
        block.pointwise(queries),
    ]
    for branch, wanted in enumerate(expected):
        torch.nn.init.zeros_(block.gate.weight)
        with torch.no_grad():
            block.gate.bias.copy_(torch.eye(3)[branch] * 100)
        torch.testing.assert_close(block(prototypes, patches), wanted)


def test_masked_prototypes_take_no_part(block):
    prototypes, patches = torch.randn(2, 5, 16), torch.randn(2, 9, 16)
    mask = torch.tensor([True, True, False, True, False])
    mixed = block(prototypes, patches, mask)
    changed = torch.where(mask[None, :, None], prototypes, 7.0)
    torch.testing.assert_close(block(changed, patches, mask), mixed)
    assert (mixed[:, ~mask] == 0).all()
    torch.testing.assert_close(mixed[:, mask], block(prototypes[:, mask], patches))


def test_heads_must_divide_the_embedding():
    with pytest.raises(ValueError, match="multiple of num_heads"):
        MixedAttentionBlock(16, 5)
