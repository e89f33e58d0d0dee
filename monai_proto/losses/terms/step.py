"""What the terms of semi-supervised training look at, computed when it is first asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from itertools import accumulate, pairwise
from types import MethodType
from typing import Any, TypeVar

import torch
from torch import nn

from monai_proto.losses.terms.views import LABELLED, View
from monai_proto.networks.bare_network import bare_network
from monai_proto.networks.nets.projected_segmentation_net import ProjectedSegmentationOutput

__all__ = ["SemiSupervisedStep"]

T = TypeVar("T")


class SemiSupervisedStep:
    """
    One optimiser step, as its terms see it. Each thing is computed at most once, when a term first asks for it, and
    under the gradient mode and autocast of the one who asks.

    The student sees all views in one forward pass, the labelled images first: DistributedDataParallel allows one pass
    in a step, and batch normalisation sees them together. A term that needs another pass, on images of its own, takes
    ``bare_network``: the parameters' gradients are reduced all the same.

    Args:
        images: labelled, (B, M, *spatial).
        labels: (B, 1, *spatial).
        unlabelled: views of one geometry by the loader's names, (B', M, *spatial) each: ``image``, the weak one, which
            the pseudo-labels are made from, and what else the loader gives (``image_strong``, ``image_strong_2``).
        network: the student, called ``network(images, full_output=True)``.
        views: what the student sees beside the labelled images.
        teacher: its predictions are the pseudo-labels; without one the student's own are.
        confidence_floor: pseudo-labels below this probability are ignored (-1).
        ramp: the current factor of terms that are ramped, 0 .. 1.
        epoch: from 1 on.
    """

    def __init__(
        self,
        images: torch.Tensor,
        labels: torch.Tensor,
        unlabelled: Mapping[str, torch.Tensor],
        network: nn.Module,
        views: Iterable[View] = (),
        teacher: nn.Module | None = None,
        confidence_floor: float = 0.0,
        ramp: float = 1.0,
        epoch: int = 1,
    ) -> None:
        self.images = images
        self.labels = labels
        self.unlabelled = unlabelled
        self.network = network
        self.views = tuple(dict.fromkeys((LABELLED, *views)))
        self.teacher = teacher
        self.confidence_floor = confidence_floor
        self.ramp = ramp
        self.epoch = epoch
        self._kept: dict[Any, Any] = {}

    def get(self, part: Callable[[SemiSupervisedStep], T]) -> T:
        """
        ``part(step)``, computed when it is first asked for and kept for all who ask for an equal part: what several
        terms need and no step knows by itself, such as a view's labels or a filled bank.
        """
        # Python calls methods of equal objects different
        key = (part.__func__, part.__self__) if isinstance(part, MethodType) else part
        if key not in self._kept:
            self._kept[key] = part(self)
        return self._kept[key]

    @property
    def bare_network(self) -> nn.Module:
        """The student without DistributedDataParallel."""
        return bare_network(self.network)

    @cached_property
    def seen_images(self) -> torch.Tensor:
        """The images of all views behind each other, in the order of ``views``."""
        return torch.cat([self.get(view.images) for view in self.views])

    @cached_property
    def seen_output(self) -> ProjectedSegmentationOutput:
        """The student's output on ``seen_images``."""
        return self.network(self.seen_images, full_output=True)

    def student(self, view: View = LABELLED) -> ProjectedSegmentationOutput:
        """
        The student's output on one view.

        Raises:
            ValueError: when the student does not see it: the term must name it in ``views``.
        """
        if view not in self.views:
            raise ValueError(f"view must be one of those that the terms name in `views`, {self.views}, got {view}.")
        output = self.seen_output
        ends = accumulate((len(self.get(v.images)) for v in self.views), initial=0)
        start, end = dict(zip(self.views, pairwise(ends), strict=True))[view]
        return ProjectedSegmentationOutput(*(values[start:end] for values in output))

    @cached_property
    def source_logits(self) -> torch.Tensor:
        """Logits (B', C, *spatial) of the pseudo-labels' source on the weak view, in a pass of its own, no gradient."""
        source = self.bare_network if self.teacher is None else self.teacher
        with torch.no_grad():
            return source(self.unlabelled["image"])
