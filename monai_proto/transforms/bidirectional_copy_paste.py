"""Mixes labelled and unlabelled images by pasting a box of one into the other, both ways."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from monai.transforms import RandomizableTransform

__all__ = ["RandBidirectionalCopyPaste"]


class RandBidirectionalCopyPaste(RandomizableTransform):
    """
    Bidirectional copy-paste (Bai et al., "Bidirectional Copy-Paste for Semi-Supervised Medical Image Segmentation",
    CVPR 2023): a random box is cut out of one image and filled with what another has there. In every second pair of
    the batch the labelled image gives the surroundings, in the others the box, so that both directions occur.

    The paper mixes every pair both ways; here a batch of B pairs gives B mixed images, which costs one forward pass
    of B instead of two.

    Args:
        box_fraction: side of the box as a fraction of the image's side, along each axis; 2/3 in the paper.

    Raises:
        ValueError: when ``box_fraction`` is not between 0 and 1.

    Example::

        mask = RandBidirectionalCopyPaste().draw(batch_size=2, spatial_shape=(32, 32, 32))
        mixed_image = torch.where(mask, labelled_image, unlabelled_image)
        mixed_label = torch.where(mask, label, pseudo_label)
    """

    def __init__(self, box_fraction: float = 2 / 3) -> None:
        super().__init__(prob=1.0)
        if not 0 < box_fraction < 1:
            raise ValueError(f"box_fraction must be between 0 and 1, got {box_fraction}.")
        self.box_fraction = box_fraction
        self._starts: list[list[int]] = []
        self._direction = 0

    def randomize(self, data: tuple[int, Sequence[int]]) -> None:
        batch_size, spatial_shape = data
        super().randomize(None)
        sizes = self._box_sizes(spatial_shape)
        self._starts = [
            [int(self.R.randint(0, side - size + 1)) for side, size in zip(spatial_shape, sizes, strict=True)]
            for _ in range(batch_size)
        ]
        self._direction = int(self.R.randint(0, 2))

    def draw(self, batch_size: int, spatial_shape: Sequence[int], device: torch.device | str = "cpu") -> torch.Tensor:
        """
        Draw where the voxels of each mixed image come from.

        Args:
            batch_size: number B of pairs.
            spatial_shape: sides of the images, in voxels.
            device: where the mask is made.

        Returns:
            bool (B, 1, *spatial_shape), true where a voxel comes from the labelled image.
        """
        self.randomize((batch_size, spatial_shape))
        from_labelled = torch.ones((batch_size, 1, *spatial_shape), dtype=torch.bool, device=device)
        sizes = self._box_sizes(spatial_shape)
        for b, starts in enumerate(self._starts):
            box = tuple(slice(start, start + size) for start, size in zip(starts, sizes, strict=True))
            place: tuple[int | slice, ...] = (b, 0, *box)
            from_labelled[place] = False
            if (b + self._direction) % 2:
                from_labelled[b].logical_not_()
        return from_labelled

    # MONAI's transforms take one item; this one mixes two batches
    def __call__(  # type: ignore[override]
        self, labelled: Sequence[torch.Tensor], unlabelled: Sequence[torch.Tensor]
    ) -> tuple[list[torch.Tensor], torch.Tensor]:
        """
        Mix tensors of labelled items with those of unlabelled ones, all with the same boxes.

        Args:
            labelled: tensors (B, M, *spatial), such as the images and their labels.
            unlabelled: as many, of the same shapes, such as the images and their pseudo-labels.

        Returns:
            the mixed tensors, and the mask of :meth:`draw`.

        Raises:
            ValueError: when the shapes do not match: pairs are taken by position.
        """
        for a, b in zip(labelled, unlabelled, strict=True):
            if a.shape != b.shape:
                raise ValueError(
                    "copy-paste needs as many unlabelled as labelled images, of the same size: got shapes "
                    f"{tuple(a.shape)} and {tuple(b.shape)}."
                )
        first = labelled[0]
        mask = self.draw(first.shape[0], first.shape[2:], first.device)
        return [torch.where(mask, a, b) for a, b in zip(labelled, unlabelled, strict=True)], mask

    def _box_sizes(self, spatial_shape: Sequence[int]) -> list[int]:
        return [max(1, int(side * self.box_fraction)) for side in spatial_shape]
