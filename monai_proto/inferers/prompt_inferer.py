"""Runs a promptable segmenter on images with prompts, its frozen prefix from a cache where there is one."""

from __future__ import annotations

import torch
from monai.inferers import Inferer
from monai.utils import convert_to_dst_type
from torch import nn

from monai_proto.data.prefix_cache import PrefixCache
from monai_proto.networks.bare_network import bare_network
from monai_proto.networks.nets.adaptable_segmenter import AdaptableSegmenter

__all__ = ["PromptInferer"]


class PromptInferer(Inferer):
    """
    For MONAI's evaluators, with :class:`PreparePromptBatch` as their ``prepare_batch``: an image may have boxes, points
    with labels, or both.

    Args:
        prefix_cache: of the network's prefix; without, the whole encoder runs.
    """

    def __init__(self, prefix_cache: PrefixCache | None = None) -> None:
        self.prefix_cache = prefix_cache

    # MONAI's evaluators pass the prompts by their names; any other argument is a mistake
    def __call__(  # type: ignore[override]
        self,
        inputs: torch.Tensor,
        network: nn.Module,
        boxes: torch.Tensor | None = None,
        points: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """
        Args:
            inputs: images (B, 3, H, W).
            network: :class:`AdaptableSegmenter`.
            boxes, points, labels: see :meth:`AdaptableSegmenter.forward`.

        Returns:
            logits (B, P, H, W).
        """
        logits = self._segment(inputs, network, boxes, points, labels)
        return convert_to_dst_type(logits, inputs, dtype=logits.dtype)[0]  # with the image's meta data

    def _segment(
        self,
        inputs: torch.Tensor,
        network: nn.Module,
        boxes: torch.Tensor | None,
        points: torch.Tensor | None,
        labels: torch.Tensor | None,
    ) -> torch.Tensor:
        if self.prefix_cache is None:
            return network(inputs, boxes, points, labels)
        bare: AdaptableSegmenter = bare_network(network)
        with torch.autocast(inputs.device.type, enabled=False):  # one entry for training and evaluation
            features = self.prefix_cache(inputs)
        size = (inputs.shape[-2], inputs.shape[-1])
        return bare.segment(bare(features=features).embedding, size, boxes, points, labels)
