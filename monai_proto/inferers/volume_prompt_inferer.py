"""Runs a promptable segmenter on the slices of a volume that have a prompt."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from monai.inferers import Inferer
from monai.utils import convert_to_dst_type
from torch import nn

from monai_proto.data.prefix_cache import PrefixCache
from monai_proto.networks.bare_network import bare_network
from monai_proto.networks.nets.adaptable_segmenter import AdaptableSegmenter

__all__ = ["VolumePromptInferer"]

_NOTHING = -100.0  # logit where no prompt is: surely background


class VolumePromptInferer(Inferer):
    """
    For MONAI's evaluators, with :class:`PreparePromptBatch` and prompts as :class:`VolumePromptsd` makes them. MONAI's
    ``SliceInferer`` runs every slice and knows no prompts.

    A slice is embedded once, however many prompts it has; where several prompts see an object, the highest logit holds.

    Args:
        slice_batch_size: slices that are embedded at a time.
        prefix_cache: of the network's prefix, so that another prompt in a slice need not embed it again; without, the
            whole encoder runs.

    Raises:
        ValueError: when ``slice_batch_size`` is below 1.
    """

    def __init__(self, slice_batch_size: int = 4, prefix_cache: PrefixCache | None = None) -> None:
        if slice_batch_size < 1:
            raise ValueError(f"slice_batch_size must be at least 1, got {slice_batch_size}.")
        self.slice_batch_size = slice_batch_size
        self.prefix_cache = prefix_cache

    # MONAI's evaluators pass the prompts by their names; any other argument is a mistake
    def __call__(  # type: ignore[override]
        self,
        inputs: torch.Tensor,
        network: nn.Module,
        slices: torch.Tensor,
        axis: torch.Tensor,
        boxes: torch.Tensor,
        points: torch.Tensor,
        labels: torch.Tensor,
    ) -> torch.Tensor:
        """
        Args:
            inputs: one volume (1, 1, X, Y, Z), 0 .. 255.
            network: :class:`AdaptableSegmenter`.
            slices: (1, P), indices along ``axis``.
            axis: (1,), 0, 1 or 2.
            boxes: (1, P, 4), in pixels of the slices, NaN where a prompt has none.
            points: (1, P, N, 2).
            labels: (1, P, N), -1 where a prompt has fewer points.

        Returns:
            logits (1, 1, X, Y, Z) with the volume's meta data; -100 in slices without a prompt.

        Raises:
            ValueError: when there is more than one volume in the batch.
        """
        if inputs.ndim != 5 or inputs.shape[:2] != (1, 1):
            raise ValueError(f"inputs must be one volume (1, 1, X, Y, Z), got {tuple(inputs.shape)}.")
        bare: AdaptableSegmenter = bare_network(network)
        embed_prefix = self.prefix_cache or bare.embed_prefix
        stack = torch.as_tensor(inputs)[0, 0].as_subclass(torch.Tensor).movedim(int(axis), 0)
        size = (stack.shape[1], stack.shape[2])
        logits = torch.full(stack.shape, _NOTHING, device=stack.device)
        for chosen in slices[0].unique().split(self.slice_batch_size):
            pictures = stack[chosen][:, None].expand(-1, 3, -1, -1)
            embedding = bare.student(embed_prefix(pictures)).embedding
            for rows, prompt in _prompts_alike(torch.isin(slices[0], chosen), boxes[0], points[0], labels[0]):
                of_slice = slices[0][rows]
                masks = bare.segment(embedding[torch.searchsorted(chosen, of_slice)], size, *prompt)
                for index, mask in zip(of_slice.tolist(), masks[:, 0].float(), strict=True):
                    logits[index] = torch.maximum(logits[index], mask)
        volume = logits.movedim(0, int(axis))[None, None]
        return convert_to_dst_type(volume, inputs, dtype=volume.dtype)[0]


def _prompts_alike(
    wanted: torch.Tensor, boxes: torch.Tensor, points: torch.Tensor, labels: torch.Tensor
) -> Iterator[tuple[torch.Tensor, tuple[torch.Tensor | None, torch.Tensor | None, torch.Tensor | None]]]:
    """Rows that can go through the decoder together: with a box or without, and of one number of points."""
    has_box, counts = ~boxes.isnan().any(dim=1), (labels >= 0).sum(dim=1)
    kinds = torch.stack([has_box.long(), counts], dim=1)
    for with_box, count in kinds[wanted].unique(dim=0).tolist():
        rows = (wanted & (kinds == kinds.new_tensor([with_box, count])).all(dim=1)).nonzero()[:, 0]
        yield (
            rows,
            (
                boxes[rows] if with_box else None,
                points[rows, :count] if count else None,
                labels[rows, :count] if count else None,
            ),
        )
