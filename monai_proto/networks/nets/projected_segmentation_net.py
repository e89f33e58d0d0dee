"""Any MONAI segmentation network with an embedding beside its logits."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn

from monai_proto.networks.blocks.projection_head import ProjectionHead

__all__ = ["ProjectedSegmentationNet", "ProjectedSegmentationOutput"]

# dotted name of the last layer of each network, the one that turns the last feature map into logits
_OUTPUT_LAYERS = {
    "UNet": "model.2",
    "DynUNet": "output_block",
    "VNet": "out_tr",
    "SegResNet": "conv_final",
    "BasicUNet": "final_conv",
    "BasicUNetPlusPlus": "final_conv_0_4",
    "UNETR": "out",
    "SwinUNETR": "out",
}


class ProjectedSegmentationOutput(NamedTuple):
    """
    What :class:`ProjectedSegmentationNet` gives for images (B, M, *spatial).

    Attributes:
        logits: (B, C, *spatial).
        projection: embedding (B, D, *grid) of the projection head. The grid is that of the network's last feature
            map: the image's own for most networks, coarser for MONAI's UNet, whose last layer is an upsampling.
        prediction: the prediction head on top of it, same shape.
    """

    logits: torch.Tensor
    projection: torch.Tensor
    prediction: torch.Tensor


class ProjectedSegmentationNet(nn.Module):
    """
    Taps the last feature map of a segmentation network and puts a projection head and a prediction head on it.

    Background: SS-Net (Wu et al., MICCAI 2022), whose memory bank holds projections and whose contrastive loss is
    taken on predictions. The network is used as it is: its last layer is moved out, to be called on the feature map,
    which keeps TorchScript and ``torch.compile`` working where a hook would not.

    Args:
        network: a 2-D or 3-D segmentation network that returns one tensor of logits.
        feature_dim: size D of an embedding.
        output_layer: dotted name of the network's last layer (as in ``network.named_modules()``). Known for UNet,
            DynUNet, VNet, SegResNet, BasicUNet, BasicUNetPlusPlus, UNETR and SwinUNETR of MONAI.
        spatial_dims: 2 or 3; by default read off the network's convolutions.

    Raises:
        ValueError: when the last layer is unknown and not named, does not exist, or the network returns several
            maps (deep supervision).

    Example::

        net = ProjectedSegmentationNet(UNet(3, 1, 3, (16, 32, 64), (2, 2), num_res_units=2), feature_dim=32)
        net(torch.randn(1, 1, 32, 32, 32)).shape  # logits (1, 3, 32, 32, 32)
        net(torch.randn(1, 1, 32, 32, 32), full_output=True).projection.shape  # (1, 32, 16, 16, 16)
    """

    def __init__(
        self,
        network: nn.Module,
        feature_dim: int = 64,
        output_layer: str | None = None,
        spatial_dims: int | None = None,
    ) -> None:
        super().__init__()
        if getattr(network, "deep_supervision", False):
            raise ValueError("network must return one tensor of logits: build it with deep_supervision=False.")
        name = output_layer or _OUTPUT_LAYERS.get(type(network).__name__)
        if name is None:
            raise ValueError(
                f"output_layer must be given for {type(network).__name__}: the dotted name of its last layer. "
                f"It is known for {', '.join(sorted(_OUTPUT_LAYERS))}."
            )
        last_layer = _take_out(network, name)
        convolution = _first_convolution(last_layer, name)
        self.feature_dim = feature_dim
        self.network = network
        self.output_layer = last_layer
        dims = spatial_dims or convolution.weight.ndim - 2
        self.projection_head = ProjectionHead(dims, convolution.in_channels, feature_dim)
        self.prediction_head = ProjectionHead(dims, feature_dim, feature_dim)

    # the result is not annotated: TorchScript infers the tensor
    def forward(self, images: torch.Tensor, full_output: bool = False):  # type: ignore[no-untyped-def]
        """
        Args:
            images: (B, M, *spatial).
            full_output: whether to return the embeddings beside the logits. What comes back never depends on
                ``training``. A network exported to TorchScript gives logits only.

        Returns:
            logits (B, C, *spatial), or :class:`ProjectedSegmentationOutput`.
        """
        features = self.network(images)
        logits = self.output_layer(features)
        if torch.jit.is_scripting() or not full_output:
            return logits
        projection = self.projection_head(features)
        return ProjectedSegmentationOutput(logits, projection, self.prediction_head(projection))


def _take_out(network: nn.Module, name: str) -> nn.Module:
    """Replace the layer ``name`` of ``network`` by an identity and return it."""
    parent_name, _, child = name.rpartition(".")
    try:
        parent = network.get_submodule(parent_name)
        layer = parent.get_submodule(child)
    except AttributeError as error:
        raise ValueError(f"output_layer {name!r} is not a layer of {type(network).__name__}.") from error
    setattr(parent, child, nn.Identity())
    return layer


def _first_convolution(layer: nn.Module, name: str) -> nn.modules.conv._ConvNd:
    for module in layer.modules():
        if isinstance(module, nn.modules.conv._ConvNd):
            return module
    raise ValueError(f"output_layer {name!r} must contain a convolution, got {type(layer).__name__}.")
