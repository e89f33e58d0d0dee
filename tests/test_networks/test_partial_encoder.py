from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

pytest.importorskip("segment_anything", reason="segment-anything is not installed (extra sam)")
pytest.importorskip("timm", reason="timm is not installed (extra sam)")

from segment_anything.modeling import ImageEncoderViT

from monai_proto.networks.nets.lite_medsam import TinyViTImageEncoder
from monai_proto.networks.nets.partial_encoder import count_blocks, split_encoder


def tiny_vit():
    """Seven blocks over four stages, as LiteMedSAM has twelve; batch statistics that are not 0 and 1."""
    torch.manual_seed(0)
    encoder = TinyViTImageEncoder(16, (4, 4, 6, 8), (2, 1, 2, 2), (1, 1, 2, 2), (3, 3, 4, 3), out_channels=6)
    return randomised(encoder)


def sam_vit(use_abs_pos=True):
    torch.manual_seed(0)
    encoder = ImageEncoderViT(
        32, 8, embed_dim=8, depth=4, num_heads=2, out_chans=6, use_rel_pos=True, window_size=3,
        global_attn_indexes=(1, 3), use_abs_pos=use_abs_pos,
    )  # fmt: skip
    return randomised(encoder)


def randomised(encoder):
    for tensor in encoder.state_dict().values():
        if tensor.is_floating_point():
            tensor.uniform_(0.1, 0.6) if tensor.ndim == 1 else tensor.normal_(std=0.3)
    return encoder.eval()


ENCODERS = {"tiny_vit": (tiny_vit, 7), "sam_vit": (sam_vit, 4)}
CASES = [(name, k) for name, (_, blocks) in ENCODERS.items() for k in range(blocks + 1)]


def images_for(encoder, batch=2):
    torch.manual_seed(1)
    return torch.rand(batch, 3, encoder.img_size, encoder.img_size)


def state_of(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


@pytest.mark.parametrize(("name", "k"), CASES)
def test_prefix_then_suffix_is_the_encoder(name, k):
    encoder = ENCODERS[name][0]()
    images = images_for(encoder)
    expected = encoder(images)
    prefix, suffix = split_encoder(encoder, k)
    features = prefix(images)
    assert not features.requires_grad
    torch.testing.assert_close(suffix(features), expected, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(encoder(images), expected, atol=1e-6, rtol=1e-6)
    assert (features is images) == (k == 0)
    assert count_blocks(encoder) == ENCODERS[name][1]


@pytest.mark.parametrize(("name", "k"), [("tiny_vit", 1), ("tiny_vit", 4), ("sam_vit", 2), ("sam_vit", 0)])
def test_gradients_are_those_of_the_whole_encoder(name, k):
    whole = ENCODERS[name][0]()
    images = images_for(whole)
    encoder = copy.deepcopy(whole)
    prefix, suffix = split_encoder(encoder, k)
    whole(images).square().sum().backward()
    suffix(prefix(images)).square().sum().backward()
    expected = dict(whole.named_parameters())
    trained = {key: value for key, value in encoder.named_parameters() if value.requires_grad}
    assert {id(value) for value in trained.values()} == {id(value) for value in suffix.parameters()}
    for key, parameter in encoder.named_parameters():
        if key in trained:
            torch.testing.assert_close(parameter.grad, expected[key].grad, atol=1e-5, rtol=1e-5)
        else:
            assert parameter.grad is None


def test_blocks_are_counted_from_the_back_over_all_stages():
    encoder = tiny_vit()
    split_encoder(encoder, 3)
    kept = {name.rsplit(".", 1)[0] for name, value in encoder.named_parameters() if value.requires_grad}
    steps = {"layers.2.blocks.1", "layers.2.downsample", "layers.3.blocks.0", "layers.3.blocks.1", "neck"}
    assert all(any(name.startswith(step) for step in steps) for name in kept)
    assert all(any(name.startswith(step) for name in kept) for step in steps)
    vit = sam_vit()
    split_encoder(vit, 4)
    assert not vit.pos_embed.requires_grad
    assert not any(parameter.requires_grad for parameter in vit.patch_embed.parameters())
    assert all(parameter.requires_grad for parameter in vit.blocks.parameters())
    split_encoder(vit, 0)
    assert vit.pos_embed.requires_grad


@pytest.mark.parametrize("batch_statistics", [False, True])
def test_frozen_parts_stay_bit_identical_over_training(batch_statistics):
    encoder = tiny_vit()
    before = state_of(encoder)
    prefix, suffix = split_encoder(encoder, 2, batch_statistics)
    optimizer = torch.optim.AdamW(encoder.parameters(), lr=0.1, weight_decay=0.1)
    for mode in (encoder, suffix, prefix):
        mode.train()
        for step in range(2):
            optimizer.zero_grad()
            suffix(prefix(images_for(encoder) + step)).square().sum().backward()
            optimizer.step()
            encoder(images_for(encoder))  # the whole encoder holds the same modules: in it they are frozen too
    after = encoder.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    trained = {name for name in before if name.startswith(("layers.3", "neck"))}
    assert {"layers.3.blocks.0.attn.qkv.weight", "layers.3.blocks.1.local_conv.bn.weight", "neck.0.weight"} <= changed
    assert changed <= trained
    statistics = {name for name in changed if "running" in name or "num_batches" in name}
    assert bool(statistics) == batch_statistics
    torch.testing.assert_close(suffix.eval()(prefix(images_for(encoder))), encoder.eval()(images_for(encoder)))


def test_student_teacher_and_reference_share_the_prefix():
    encoder = tiny_vit()
    reference_encoder = copy.deepcopy(encoder)
    images = images_for(encoder)
    prefix, student = split_encoder(encoder, 2)
    teacher, reference = copy.deepcopy(student), copy.deepcopy(student)
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.add_(0.1)
        for parameter in teacher.parameters():
            parameter.add_(0.05)
    features = prefix(images)
    torch.testing.assert_close(student(features), encoder(images), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(reference(features), reference_encoder(images), atol=1e-5, rtol=1e-5)
    assert not torch.allclose(teacher(features), student(features))


def test_splitting_again_replaces_the_division():
    encoder = tiny_vit()
    split_encoder(encoder, 1)
    prefix, suffix = split_encoder(encoder, 5)
    encoder.train()
    assert all(parameter.requires_grad for parameter in suffix.parameters())
    assert not any(parameter.requires_grad for parameter in prefix.parameters())
    assert not any(part.training for step in prefix for part in step.modules())
    whole = split_encoder(encoder, 0, batch_statistics=True).suffix
    whole.train()
    assert all(part.training for part in whole.modules())
    assert all(parameter.requires_grad for parameter in encoder.parameters())


def test_encoder_without_absolute_positions():
    encoder = sam_vit(use_abs_pos=False)
    prefix, suffix = split_encoder(encoder, 1)
    images = images_for(encoder)
    torch.testing.assert_close(suffix(prefix(images)), encoder(images))


@pytest.mark.parametrize("k", [-1, 5])
def test_more_blocks_than_there_are(k):
    with pytest.raises(ValueError, match=rf"trainable_blocks must be in 0 \.\. 4, .* of ImageEncoderViT .* got {k}"):
        split_encoder(sam_vit(), k)


def test_encoder_of_unknown_build():
    with pytest.raises(ValueError, match=r"encoder must be SAM's ImageEncoderViT .* got Conv2d"):
        split_encoder(nn.Conv2d(3, 3, 1), 1)
