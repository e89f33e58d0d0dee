"""An image classifier that answers by prototypes."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn

from monai_proto.networks.backbone_features import BackboneFeatures, backbone_features
from monai_proto.networks.blocks.prototype_head import PrototypeHead, PrototypeHeadOutput
from monai_proto.networks.freezing import freeze, thaw

__all__ = ["EmbeddedPatches", "PrototypeClassifier"]

_STAGES = ("warm_up", "joint", "last_layer")


class EmbeddedPatches(NamedTuple):
    """
    Attributes:
        pooled: pooled embedding (B, D).
        patches: patch embeddings (B, P, D).
        grid: patches along each spatial axis.
    """

    pooled: torch.Tensor
    patches: torch.Tensor
    grid: tuple[int, ...]


class PrototypeClassifier(nn.Module):
    """
    A backbone with a :class:`PrototypeHead`.

    Training has three stages (ProtoPNet, Chen et al., NeurIPS 2019), set by :meth:`set_stage`: in ``"warm_up"`` the
    backbone is frozen, batch statistics included, in ``"joint"`` everything is trained, in ``"last_layer"`` only the
    weights from prototypes to classes, so that prototypes stay the training patches that they were pushed to.

    Args:
        backbone: see :func:`backbone_features` for what is understood.
        head: the prototype head; its ``in_features`` are the backbone's channels.
        prefix_tokens: tokens before the patches, where a transformer does not say.

    Example::

        backbone = efficientnet_lite0()
        net = PrototypeClassifier(backbone, PrototypeHead(7, 64, 4, in_features=1280))
        net(torch.randn(2, 3, 128, 160)).shape  # (2, 7)
        net(torch.randn(2, 3, 128, 160), full_output=True).similarities.shape  # (2, 35)
    """

    def __init__(self, backbone: nn.Module, head: PrototypeHead, prefix_tokens: int | None = None) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.prefix_tokens = prefix_tokens
        self.stage = "joint"

    # the result is not annotated: TorchScript infers the tensor
    def forward(self, images: torch.Tensor, full_output: bool = False):  # type: ignore[no-untyped-def]
        """
        Args:
            images: (B, M, *spatial).
            full_output: whether to return everything that the head gives. What comes back never depends on
                ``training``. A network exported to TorchScript gives logits only; its backbone has to give maps.

        Returns:
            logits (B, C), or :class:`PrototypeHeadOutput`.
        """
        if torch.jit.is_scripting():
            # a condition on a submodule's methods is settled when the module is compiled; torch's annotation of a
            # module knows no methods but its own, and TorchScript no cast
            if hasattr(self.backbone, "forward_features"):
                return self.head.logits(self.backbone.forward_features(images))  # type: ignore[operator]
            return self.head.logits(self.backbone(images))
        output, _ = self.answer(images)
        return output if full_output else output.logits

    def answer(self, images: torch.Tensor) -> tuple[PrototypeHeadOutput, tuple[int, ...]]:
        """
        Everything that the head gives, and the grid of its patches.

        Args:
            images: (B, M, *spatial).
        """
        features = self._features(images)
        return self.head(features.pooled, features.patches), features.grid

    def embed(self, images: torch.Tensor) -> EmbeddedPatches:
        """
        Embeddings of images, for pushes and for growing.

        Args:
            images: (B, M, *spatial).
        """
        features = self._features(images)
        return EmbeddedPatches(
            self.head.embed(features.pooled[:, None]).squeeze(1), self.head.embed(features.patches), features.grid
        )

    def set_stage(self, stage: str) -> None:
        """
        Choose what is trained from now on.

        Args:
            stage: ``"warm_up"``, ``"joint"`` or ``"last_layer"``.

        Raises:
            ValueError: when the stage is unknown.
        """
        if stage not in _STAGES:
            raise ValueError(f"stage must be one of {_STAGES}, got {stage!r}.")
        self.stage = stage
        (thaw if stage == "joint" else freeze)(self.backbone)
        self.head.requires_grad_(stage != "last_layer")
        for parameter in self.head.last_layer_parameters():
            parameter.requires_grad_(True)
        self.train(self.training)

    def _features(self, images: torch.Tensor) -> BackboneFeatures:
        return backbone_features(self.backbone, images, self.prefix_tokens)
