"""The images that a student sees in a step, and what labels them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch

from monai_proto.losses.pseudo_label import pseudo_labels

if TYPE_CHECKING:  # a step holds views
    from monai_proto.losses.terms.step import SemiSupervisedStep

__all__ = ["LABELLED", "UNLABELLED", "LabelledView", "MixedImages", "MixedView", "UnlabelledView", "View"]


class View(ABC):
    """
    A way to look at a step's images. Views are equal when they show the same, so that terms that were built apart share
    one forward pass. Terms ask for ``step.student(view)`` and ``step.get(view.labels)``.
    """

    @abstractmethod
    def images(self, step: SemiSupervisedStep) -> torch.Tensor:
        """(B, M, *spatial)."""

    @abstractmethod
    def labels(self, step: SemiSupervisedStep) -> torch.Tensor:
        """Classes (B, 1, *spatial), -1 where there is none."""


@dataclass(frozen=True)
class LabelledView(View):
    """The labelled images with their labels."""

    def images(self, step: SemiSupervisedStep) -> torch.Tensor:
        return step.images

    def labels(self, step: SemiSupervisedStep) -> torch.Tensor:
        return step.labels


LABELLED = LabelledView()


@dataclass(frozen=True)
class UnlabelledView(View):
    """
    Unlabelled images with pseudo-labels: the teacher's of the weak view, or else the student's own of this view.

    Args:
        keys: the loader's names of the images; the first one that it gives is taken.
    """

    keys: Sequence[str] = ("image_strong", "image")

    def __post_init__(self) -> None:
        object.__setattr__(self, "keys", tuple(self.keys))  # a list of a bundle's JSON has no hash

    def images(self, step: SemiSupervisedStep) -> torch.Tensor:
        """
        Raises:
            ValueError: when the loader gives none of the keys.
        """
        for key in self.keys:
            if key in step.unlabelled:
                return step.unlabelled[key]
        raise ValueError(f"unlabelled items must have one of {self.keys}, got {sorted(step.unlabelled)}.")

    def source_logits(self, step: SemiSupervisedStep) -> torch.Tensor:
        """What the pseudo-labels are made from, (B, C, *spatial), without gradient."""
        return step.student(self).logits.detach() if step.teacher is None else step.source_logits

    def labels(self, step: SemiSupervisedStep) -> torch.Tensor:
        return pseudo_labels(self.source_logits(step), step.confidence_floor)


UNLABELLED = UnlabelledView()


class MixedImages(NamedTuple):
    """
    Attributes:
        images: (B, M, *spatial).
        labels: (B, 1, *spatial); true ones where a voxel comes from a labelled image, pseudo-labels elsewhere.
        from_labelled: bool (B, 1, *spatial).
    """

    images: torch.Tensor
    labels: torch.Tensor
    from_labelled: torch.Tensor


@dataclass(frozen=True)
class MixedView(View):
    """
    Labelled and unlabelled images mixed with each other. Views with the same ``copy_paste`` object show the same.

    Args:
        copy_paste: called ``copy_paste((images, labels), (unlabelled, pseudo_labels))``, gives the mixed pair and the
            mask of voxels from labelled images: a ``RandBidirectionalCopyPaste``.
        unlabelled: which unlabelled images are mixed in.
    """

    copy_paste: Callable[..., tuple[Sequence[torch.Tensor], torch.Tensor]]
    unlabelled: UnlabelledView = UNLABELLED

    def mix(self, step: SemiSupervisedStep) -> MixedImages:
        """Mix; a term asks ``step.get(view.mix)``, so that all see one draw."""
        pseudo = pseudo_labels(step.source_logits, step.confidence_floor)
        (images, labels), from_labelled = self.copy_paste(
            (step.images, step.labels), (self.unlabelled.images(step), pseudo)
        )
        return MixedImages(images, labels, from_labelled)

    def images(self, step: SemiSupervisedStep) -> torch.Tensor:
        return step.get(self.mix).images

    def labels(self, step: SemiSupervisedStep) -> torch.Tensor:
        return step.get(self.mix).labels
