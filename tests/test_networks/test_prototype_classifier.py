from __future__ import annotations

import copy

import pytest
import timm
import torch
from monai.networks.nets import DenseNet121, EfficientNetBNFeatures, MaskedAutoEncoderViT, ResNetFeatures, ViT
from torch import nn

from monai_proto.networks.backbone_features import backbone_features
from monai_proto.networks.blocks import PrototypeHead
from monai_proto.networks.nets import PrototypeClassifier, efficientnet_lite0
from monai_proto.networks.patch_grid import patch_box


def small_trunk() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 6, 3, stride=4, padding=1), nn.BatchNorm2d(6), nn.ReLU())


def make_classifier() -> PrototypeClassifier:
    torch.manual_seed(0)
    return PrototypeClassifier(small_trunk(), PrototypeHead(3, 8, 2, 6, num_prototypes=2, max_prototypes=3))


BACKBONES = {
    "convolutional trunk": (small_trunk, (3, 16, 24), (4, 6), 6),
    "MONAI EfficientNet": (
        lambda: EfficientNetBNFeatures("efficientnet-b0", pretrained=False),
        (3, 64, 96),
        (2, 3),
        320,
    ),
    "MONAI ResNet, 3-D": (
        lambda: ResNetFeatures("resnet18", pretrained=False, spatial_dims=3, in_channels=1),
        (1, 32, 64, 32),
        (1, 2, 1),
        512,
    ),
    "MONAI DenseNet trunk": (lambda: DenseNet121(2, 3, 2).features, (3, 64, 64), (2, 2), 1024),
    "MONAI ViT": (
        lambda: ViT(3, (32, 48), (16, 16), hidden_size=24, mlp_dim=32, num_layers=2, num_heads=2, spatial_dims=2),
        (3, 32, 48),
        (2, 3),
        24,
    ),
    "MONAI ViT, 3-D, class token": (
        lambda: ViT(1, (16, 16, 32), (8, 8, 8), 24, 32, num_layers=2, num_heads=2, classification=True),
        (1, 16, 16, 32),
        (2, 2, 4),
        24,
    ),
    "MONAI masked autoencoder": (
        lambda: MaskedAutoEncoderViT(3, (32, 48), (16, 16), 24, 32, 2, 2, spatial_dims=2, decoder_num_layers=1),
        (3, 32, 48),
        (2, 3),
        24,
    ),
    "timm convolutional": (lambda: timm.create_model("resnet10t", num_classes=0), (3, 64, 96), (2, 3), 512),
    "timm ViT": (
        lambda: timm.create_model("vit_tiny_patch16_224", img_size=(32, 48), num_classes=0, depth=2),
        (3, 32, 48),
        (2, 3),
        192,
    ),
}


@pytest.mark.parametrize("name", BACKBONES)
def test_backbones(name):
    build, image, grid, channels = BACKBONES[name]
    torch.manual_seed(0)
    network = PrototypeClassifier(build(), PrototypeHead(3, 8, 2, channels, spatial_dims=len(grid))).eval()
    images = torch.randn(2, *image)
    features = backbone_features(network.backbone, images)
    assert features.grid == grid
    assert features.patches.shape == (2, torch.Size(grid).numel(), channels)
    assert features.pooled.shape == (2, channels)
    logits = network(images)
    assert logits.shape == (2, 3)
    torch.testing.assert_close(network(images, full_output=True).logits, logits)
    assert (logits[0] - logits[1]).abs().max() > 0
    assert network.embed(images).grid == grid


def test_class_token_is_the_pooled_feature_and_patches_come_after_it():
    torch.manual_seed(0)
    network = timm.create_model("vit_tiny_patch16_224", img_size=32, num_classes=0, depth=1).eval()
    images = torch.randn(1, 3, 32, 32)
    tokens = network.forward_features(images)
    features = backbone_features(network, images)
    torch.testing.assert_close(features.pooled, tokens[:, 0])
    torch.testing.assert_close(features.patches, tokens[:, 1:])


def test_patch_boxes_tile_the_image():
    assert patch_box(0, (2, 4)) == (0.0, 0.5, 0.0, 0.25)
    assert patch_box(7, (2, 4)) == (0.5, 1.0, 0.75, 1.0)
    assert patch_box(5, (2, 2, 2)) == (0.5, 1.0, 0.0, 0.5, 0.5, 1.0)
    with pytest.raises(ValueError, match="patch_index must be in the grid"):
        patch_box(8, (2, 4))


def test_a_patch_box_is_where_the_patch_looks():
    """An image that is bright in one patch only lights up that patch's embedding."""
    trunk = nn.Conv2d(1, 4, 8, stride=8)
    for index in range(6):
        top, bottom, left, right = patch_box(index, (2, 3))
        image = torch.zeros(1, 1, 16, 24)
        image[..., int(top * 16) : int(bottom * 16), int(left * 24) : int(right * 24)] = 1
        change = (backbone_features(trunk, image).patches - backbone_features(trunk, torch.zeros_like(image)).patches)[
            0
        ]
        assert change.abs().sum(dim=1).nonzero().flatten().tolist() == [index]


@pytest.mark.parametrize("stage", ["warm_up", "joint", "last_layer"])
def test_stages_train_what_they_say(stage):
    network = make_classifier()
    network.set_stage(stage)
    network.train()
    before = copy.deepcopy(network.state_dict())
    parameters = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(parameters, lr=0.5)
    for _ in range(3):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(torch.randn(8, 3, 16, 16)), torch.arange(8) % 3).backward()
        optimizer.step()
    changed = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    backbone = {name for name in before if name.startswith("backbone")}
    last = {"head.class_weight", "head.class_bias", "head.log_scale"}
    head = {"head.bank.prototypes", "head.proj.weight", "head.proj.bias"}
    expected = {"warm_up": head | last, "joint": head | last | backbone, "last_layer": last}[stage]
    # a bias before batch normalisation has no effect
    assert changed - {"backbone.0.bias"} == expected - {"backbone.0.bias"}


def test_unknown_stage():
    with pytest.raises(ValueError, match="stage must be one of"):
        make_classifier().set_stage("second")


def test_backbones_that_are_not_understood():
    with pytest.raises(ValueError, match="backbone must give a map"):
        backbone_features(nn.Flatten(), torch.randn(2, 3, 8, 8))
    tokens = nn.Sequential(nn.Conv2d(3, 4, 8, stride=8), nn.Flatten(2), nn.Linear(4, 5))
    with pytest.raises(ValueError, match="fill no grid of equal patches"):
        backbone_features(tokens, torch.randn(2, 3, 16, 16), prefix_tokens=1)


def test_pretrained_weights_answer_as_they_were_trained(monkeypatch):
    """The embedded ImageNet weights recognise a uniform in the photograph that matplotlib carries."""
    from matplotlib import cbook
    from PIL import Image

    from monai_proto.networks.nets import efficientnet_lite

    network = efficientnet_lite0().eval()
    state = torch.load(efficientnet_lite._weights_file(), weights_only=True)
    with cbook.get_sample_data("grace_hopper.jpg") as stream:
        photograph = Image.open(stream).convert("RGB").resize((224, 224))
    pixels = torch.tensor(list(photograph.getdata()), dtype=torch.float32).reshape(1, 224, 224, 3).permute(0, 3, 1, 2)
    with torch.no_grad():
        pooled = network.forward_features(pixels / 127.5 - 1).mean(dim=(2, 3))
    probabilities = (pooled @ state["_fc.weight"].T + state["_fc.bias"]).softmax(dim=1)[0]
    assert int(probabilities.argmax()) == 652  # ImageNet's "military uniform"

    monkeypatch.setattr(efficientnet_lite, "_SHA256", "0" * 64)
    with pytest.raises(ValueError, match="another SHA-256"):
        efficientnet_lite0()


def test_weights_of_another_network_are_refused():
    from monai_proto.networks.nets import efficientnet_lite

    network = small_trunk()
    with pytest.raises(ValueError, match="must have 7 tensors, got 1"):
        efficientnet_lite._timm_keys({"a.weight": torch.zeros(1)}, network)
    swapped = dict(reversed(network.state_dict().items()))
    with pytest.raises(ValueError, match="does not fit"):
        efficientnet_lite._timm_keys(swapped, network)
    with pytest.raises(ValueError, match="in_channels must be 3"):
        efficientnet_lite0(in_channels=1)


@pytest.mark.parametrize(
    "options", [{}, {"distance": "l2"}, {"attention": True}, {"abstention": True}, {"pooled_classifier": True}]
)
def test_exports_to_torchscript(tmp_path, options):
    torch.manual_seed(0)
    head = PrototypeHead(3, 8, 2, 6, num_prototypes=2, max_prototypes=3, **options)
    network = PrototypeClassifier(small_trunk(), head).eval()
    torch.jit.save(torch.jit.script(network), tmp_path / "model.ts")
    images = torch.randn(2, 3, 16, 24)
    torch.testing.assert_close(torch.jit.load(tmp_path / "model.ts")(images), network(images))
