"""Sliding-window segmentation whose memory does not hold the scores of a whole volume."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from monai.data import MetaTensor
from monai.data.utils import compute_importance_map, dense_patch_slices
from monai.inferers import Inferer
from monai.utils import ensure_tuple_rep
from torch.nn import functional as F

__all__ = ["SlidingWindowLabelInferer"]

_MODES = ("constant", "gaussian")
_SIGMA_SCALE = 0.125  # of the Gaussian, as a share of the window's size: MONAI's default


class SlidingWindowLabelInferer(Inferer):
    """
    The label map that the argmax of MONAI's ``SlidingWindowInferer`` gives, without its map of scores.

    ``SlidingWindowInferer`` adds up the scores of all windows, C float maps of the whole volume. Here windows go along
    one axis in order, and only as many slices as one window is deep hold scores: those that no later window touches
    become labels at once. For a volume of 512 x 512 x 600 voxels, windows of 96 voxels and six classes that is 0.6 GB
    of scores in place of 3.8 GB. The axis is the one along which windows are shortest beside the volume.

    Args:
        roi_size: size of a window in voxels; a volume that is smaller is padded with zeros.
        sw_batch_size: windows in one call of the network.
        overlap: share of a window that it has in common with the next, 0 <= overlap < 1; one for all axes or one each.
        mode: weight of a window's voxels, ``"constant"`` or ``"gaussian"`` (less towards the window's border).
        sw_device: where the network is; None for the device of the images.
        device: where the scores are added up; None for the device of the images. With ``"cpu"`` the GPU holds a batch
            of windows only, besides the image.

    Raises:
        ValueError: when an argument is out of range.

    Example::

        inferer = SlidingWindowLabelInferer(roi_size=(96, 96, 96), overlap=0.25)
        labels = inferer(torch.randn(1, 1, 300, 300, 200), network)  # (1, 1, 300, 300, 200), uint8
    """

    def __init__(
        self,
        roi_size: Sequence[int],
        sw_batch_size: int = 4,
        overlap: float | Sequence[float] = 0.25,
        mode: str = "constant",
        sw_device: torch.device | str | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        if not all(size >= 1 for size in roi_size):
            raise ValueError(f"roi_size must be positive, got {tuple(roi_size)}.")
        if sw_batch_size < 1:
            raise ValueError(f"sw_batch_size must be at least 1, got {sw_batch_size}.")
        if mode not in _MODES:
            raise ValueError(f"mode must be one of {_MODES}, got {mode!r}.")
        self.roi_size = tuple(int(size) for size in roi_size)
        self.sw_batch_size = sw_batch_size
        self.overlap = ensure_tuple_rep(overlap, len(self.roi_size))
        if not all(0 <= share < 1 for share in self.overlap):
            raise ValueError(f"overlap must be at least 0 and below 1, got {overlap}.")
        self.mode = mode
        self.sw_device = sw_device
        self.device = device

    @torch.no_grad()
    def __call__(
        self, inputs: torch.Tensor, network: Callable[..., torch.Tensor], *args: Any, **kwargs: Any
    ) -> torch.Tensor:
        """
        Args:
            inputs: images (B, M, *spatial).
            network: gives logits or probabilities (B, C, *roi_size), background included.
            args, kwargs: passed on to the network.

        Returns:
            label values 0 .. C-1, (B, 1, *spatial), uint8 (int16 for more than 256 classes), on the images' device and
            with their meta data.

        Raises:
            ValueError: when the images do not have the axes of ``roi_size``, or the network's output is not of the
                form above.
        """
        if inputs.ndim != len(self.roi_size) + 2:
            raise ValueError(
                f"images must be (B, M, {len(self.roi_size)} spatial axes) for roi_size {self.roi_size}, "
                f"got {tuple(inputs.shape)}."
            )
        images = inputs.as_tensor() if isinstance(inputs, MetaTensor) else inputs
        labels = torch.stack([self._segment(image, network, args, kwargs) for image in images])
        labels = labels.unsqueeze(1).to(inputs.device)
        return MetaTensor(labels).copy_meta_from(inputs) if isinstance(inputs, MetaTensor) else labels

    def _segment(self, image: torch.Tensor, network: Callable, args: tuple, kwargs: dict[str, Any]) -> torch.Tensor:
        """Label map (*spatial) of one image (M, *spatial)."""
        sizes = image.shape[1:]
        before = [max(roi - size, 0) // 2 for roi, size in zip(self.roi_size, sizes, strict=True)]
        image = self._padded(image, before)
        stitcher = _LabelStitcher(image.shape[1:], self.roi_size, self.device or image.device)
        windows = sorted(self._windows(image.shape[1:]), key=lambda window: window[stitcher.axis].start)
        window_device = self.sw_device or image.device
        weight = compute_importance_map(self.roi_size, self.mode, _SIGMA_SCALE, window_device, torch.float32)
        for first in range(0, len(windows), self.sw_batch_size):
            batch = windows[first : first + self.sw_batch_size]
            places = [(slice(None), *window) for window in batch]
            patches = torch.stack([image[place] for place in places]).to(window_device)
            scores = network(patches, *args, **kwargs)
            self._require_scores(scores, patches)
            for window, window_scores in zip(batch, scores, strict=True):
                stitcher.add(window, (window_scores.float() * weight).to(stitcher.device))
        labels = stitcher.finish()
        return labels[tuple(slice(start, start + size) for start, size in zip(before, sizes, strict=True))]

    def _padded(self, image: torch.Tensor, before: Sequence[int]) -> torch.Tensor:
        padding: list[int] = []
        for start, roi, size in reversed(list(zip(before, self.roi_size, image.shape[1:], strict=True))):
            padding += [start, max(roi - size, 0) - start]
        return F.pad(image, padding) if any(padding) else image

    def _windows(self, sizes: Sequence[int]) -> list[tuple[slice, ...]]:
        """The same windows as MONAI's."""
        intervals = [
            roi if roi == size else max(int(roi * (1 - overlap)), 1)
            for roi, size, overlap in zip(self.roi_size, sizes, self.overlap, strict=True)
        ]
        return dense_patch_slices(sizes, self.roi_size, intervals)

    @staticmethod
    def _require_scores(scores: Any, patches: torch.Tensor) -> None:
        shape: tuple[int, ...] = getattr(scores, "shape", ())
        if len(shape) != patches.ndim or shape[2:] != patches.shape[2:] or shape[1] < 2:
            found = tuple(shape) if shape else type(scores).__name__
            raise ValueError(
                f"network must give one map of scores for each class, (B, C, {', '.join(map(str, patches.shape[2:]))}) "
                f"with C of 2 or more, got {found}."
            )


class _LabelStitcher:
    """
    Adds up the scores of windows that come in the order of their starts along ``axis``, and turns slices into labels
    as soon as no further window reaches them. The argmax of a weighted sum is that of the weighted mean: no map of
    counts is needed.
    """

    def __init__(self, sizes: Sequence[int], roi_size: Sequence[int], device: torch.device | str) -> None:
        self.sizes = tuple(sizes)
        self.axis = min(range(len(sizes)), key=lambda axis: roi_size[axis] / sizes[axis])
        self.depth = roi_size[self.axis]
        self.device = torch.device(device)
        self.start = 0  # first slice that has scores
        self.scores: torch.Tensor | None = None
        self.labels: torch.Tensor | None = None

    def add(self, window: tuple[slice, ...], scores: torch.Tensor) -> None:
        if self.scores is None or self.labels is None:
            slab = [self.depth if axis == self.axis else size for axis, size in enumerate(self.sizes)]
            self.scores = torch.zeros((scores.shape[0], *slab), device=self.device)
            label_type = torch.uint8 if scores.shape[0] <= 256 else torch.int16
            self.labels = torch.zeros(self.sizes, dtype=label_type, device=self.device)
        self._label_slices_before(window[self.axis].start)
        in_slab = (slice(0, self.depth) if axis == self.axis else part for axis, part in enumerate(window))
        place = (slice(None), *in_slab)
        self.scores[place] += scores

    def finish(self) -> torch.Tensor:
        self._label(self.depth)
        assert self.labels is not None  # an image has at least one window
        return self.labels

    def _label_slices_before(self, start: int) -> None:
        done = start - self.start
        if done == 0:
            return
        self._label(done)
        kept = self.depth - done
        assert self.scores is not None  # made by the first window
        for class_scores in self.scores:  # one class at a time: a second slab of scores would double the memory
            class_scores.narrow(self.axis, 0, kept).copy_(class_scores.narrow(self.axis, done, kept).clone())
            class_scores.narrow(self.axis, kept, done).zero_()
        self.start = start

    def _label(self, count: int) -> None:
        assert self.scores is not None
        assert self.labels is not None
        decided = self.scores.narrow(self.axis + 1, 0, count).argmax(dim=0)
        self.labels.narrow(self.axis, self.start, count).copy_(decided)
