from __future__ import annotations

import copy

import pytest
import torch
from monai.networks.nets import (
    UNETR,
    BasicUNet,
    BasicUNetPlusPlus,
    DynUNet,
    SegResNet,
    SwinUNETR,
    UNet,
    VNet,
)
from torch import nn

from monai_proto.networks.blocks import ProjectionHead
from monai_proto.networks.nets import ProjectedSegmentationNet


def unet(dims, num_res_units):
    return UNet(dims, 1, 3, channels=(4, 8, 16), strides=(2, 2), num_res_units=num_res_units)


def dynunet(dims):
    return DynUNet(dims, 1, 3, kernel_size=[3, 3, 3], strides=[1, 2, 2], upsample_kernel_size=[2, 2], filters=[4, 8, 8])


# network, side of the image, and how much coarser than the image the tapped map is
NETWORKS = {
    "unet_2d_plain": (lambda: unet(2, 0), 2, 16, 2),
    "unet_2d_residual": (lambda: unet(2, 2), 2, 16, 2),
    "unet_3d_plain": (lambda: unet(3, 0), 3, 16, 2),
    "unet_3d_residual": (lambda: unet(3, 2), 3, 16, 2),
    "dynunet_2d": (lambda: dynunet(2), 2, 16, 1),
    "dynunet_3d": (lambda: dynunet(3), 3, 16, 1),
    "vnet_3d": (lambda: VNet(3, 1, 3), 3, 16, 1),
    "segresnet_2d": (lambda: SegResNet(2, 8, 1, 3, blocks_down=(1, 1), blocks_up=(1,)), 2, 16, 1),
    "segresnet_3d": (lambda: SegResNet(3, 8, 1, 3, blocks_down=(1, 1), blocks_up=(1,)), 3, 16, 1),
    "basic_unet_2d": (lambda: BasicUNet(2, 1, 3, features=(4, 4, 8, 8, 8, 4)), 2, 32, 1),
    "basic_unet_3d": (lambda: BasicUNet(3, 1, 3, features=(4, 4, 8, 8, 8, 4)), 3, 32, 1),
    "unetr_3d": (lambda: UNETR(1, 3, (32, 32, 32), feature_size=4, hidden_size=24, mlp_dim=24, num_heads=2), 3, 32, 1),
    "swin_unetr_3d": (
        lambda: SwinUNETR(in_channels=1, out_channels=3, depths=(1, 1, 1, 1), num_heads=(1, 1, 1, 1), feature_size=12),
        3,
        64,
        1,
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_logits_are_those_of_the_network_itself(name):
    build, dims, side, coarser = NETWORKS[name]
    torch.manual_seed(0)
    network = build().eval()
    wrapped = ProjectedSegmentationNet(copy.deepcopy(network), feature_dim=6).eval()
    images = torch.randn(1 if side > 32 else 2, 1, *[side] * dims)
    with torch.no_grad():
        output = wrapped(images, full_output=True)
        logits = wrapped(images)
        assert torch.equal(logits, network(images))
    assert torch.equal(output.logits, logits)
    assert output.projection.shape == (images.shape[0], 6, *[side // coarser] * dims)
    assert output.prediction.shape == output.projection.shape
    assert not torch.equal(output.prediction, output.projection)


def test_what_comes_back_does_not_depend_on_training():
    network = ProjectedSegmentationNet(unet(2, 2), feature_dim=4)
    images = torch.randn(2, 1, 16, 16)
    for training in (True, False):
        network.train(training)
        assert isinstance(network(images), torch.Tensor)
        assert network(images, full_output=True)._fields == ("logits", "projection", "prediction")


def test_every_weight_gets_a_gradient_from_logits_and_prediction():
    network = ProjectedSegmentationNet(unet(2, 2), feature_dim=4)
    output = network(torch.randn(2, 1, 16, 16), full_output=True)
    (output.logits.square().sum() + output.prediction.square().sum()).backward()
    missing = [name for name, p in network.named_parameters() if p.grad is None]
    assert missing == []


@pytest.mark.parametrize("name", ["unet_2d_plain", "unet_3d_residual", "dynunet_3d", "segresnet_3d"])
def test_torchscript_gives_the_same_logits(name):
    build, dims, side, _ = NETWORKS[name]
    network = ProjectedSegmentationNet(build(), feature_dim=4).eval()
    images = torch.randn(1, 1, *[side] * dims)
    scripted = torch.jit.script(network)
    with torch.no_grad():
        torch.testing.assert_close(scripted(images), network(images), rtol=0, atol=1e-5)


def test_state_dict_round_trip():
    network, other = (ProjectedSegmentationNet(unet(2, 2), feature_dim=4).eval() for _ in range(2))
    other.load_state_dict(network.state_dict())
    images = torch.randn(1, 1, 16, 16)
    for ours, theirs in zip(network(images, full_output=True), other(images, full_output=True), strict=True):
        assert torch.equal(ours, theirs)


class OneByOne(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Conv2d(1, 5, 3, padding=1)
        self.head = nn.Sequential(nn.ReLU(), nn.Conv2d(5, 3, 1))

    def forward(self, images):
        return self.head(self.body(images))


def test_other_networks_name_their_last_layer():
    network = OneByOne()
    images = torch.randn(1, 1, 8, 8)
    expected = network(images)
    wrapped = ProjectedSegmentationNet(network, feature_dim=4, output_layer="head")
    assert torch.equal(wrapped(images), expected)
    assert wrapped(images, full_output=True).projection.shape == (1, 4, 8, 8)


@pytest.mark.parametrize(
    ("build", "arguments", "message"),
    [
        (OneByOne, {}, "output_layer must be given for OneByOne"),
        (OneByOne, {"output_layer": "tail"}, "output_layer 'tail' is not a layer of OneByOne"),
        (OneByOne, {"output_layer": "head.0"}, "must contain a convolution, got ReLU"),
        (
            lambda: DynUNet(2, 1, 3, [3, 3, 3], [1, 2, 2], [2, 2], filters=[4, 8, 8], deep_supervision=True),
            {},
            "deep_supervision=False",
        ),
        (lambda: BasicUNetPlusPlus(2, 1, 3, deep_supervision=True), {}, "deep_supervision=False"),
    ],
)
def test_refuses(build, arguments, message):
    with pytest.raises(ValueError, match=message):
        ProjectedSegmentationNet(build(), **arguments)


@pytest.mark.parametrize("dims", [2, 3])
def test_projection_head_is_pointwise(dims):
    head = ProjectionHead(dims, 5, 4, hidden_channels=7).eval()
    maps = torch.randn(2, 5, *[4] * dims)
    changed = maps.clone()
    changed[..., 0] += 1
    difference = (head(maps) - head(changed)).abs().sum(1)
    assert difference[..., 0].gt(0).all()
    assert not difference[..., 1:].any()
    assert [p.shape[0] for p in head.parameters() if p.ndim > 1] == [7, 4]
