"""Runs a segmentation network over whole studies and scores them for the choice of the next one to label."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

from monai_proto.active_learning.study_score import StudyScore
from monai_proto.active_learning.study_values import (
    class_feature_means,
    foreground_entropy,
    relative_prototype_distances,
    thumbnail_embedding,
)
from monai_proto.engines.training_step import plain_tensors
from monai_proto.machine import autocast_pays
from monai_proto.networks.blocks.class_memory_bank import ClassMemoryBank

__all__ = ["StudyScorer"]

_EMBEDDINGS = ("image", "features")
_NOTHING_FOUND = 0.0  # no nearer to the prototypes than the background is


class StudyScorer:
    """
    Scores a study by what a :class:`ProjectedSegmentationNet` makes of it.

    The prototype of a class is the mean of the bank's rows. A bank that was trained without the background has none
    for it, nor has an older checkpoint any: :meth:`prototypes_of` makes them from labelled studies.

    Args:
        network: called ``network(images, full_output=True)``; it is put into evaluation mode.
        inferer: runs the network over a whole volume; of MONAI's, those that take a network with several maps:
            ``SlidingWindowInferer`` or ``SimpleInferer``. Its windows are best as large as the training patches: with
            instance normalisation, other windows, and padding even more so, change what the network sees.
        prototypes: a class memory bank, or prototypes (C, D) with rows of zeros for classes that have none; without
            them there is no prototype distance.
        device: where the network is; images are put there.
        amp: whether the network runs in mixed precision, where the hardware has it.
        margin: see :func:`foreground_entropy`.
        embedding: what tells studies apart. ``"image"``, the thumbnail: it needs no network, and so stays the same
            when that is trained further; on hippocampus it finds the other side of the same subject three times as
            often (docs/benchmarks.md). ``"features"``, the unit-length mean projected feature of each foreground
            class, zeros for one that is not predicted: training pulls them together.

    Raises:
        ValueError: when ``prototypes`` is not (C, D), or ``embedding`` is unknown.

    Example::

        scorer = StudyScorer(network, SlidingWindowInferer((96, 96, 96)), bank)
        score = scorer(image, "study_1")  # image (M, *spatial), preprocessed as for inference
    """

    def __init__(
        self,
        network: nn.Module,
        inferer: Callable[..., Any],
        prototypes: ClassMemoryBank | torch.Tensor | None = None,
        device: torch.device | str = "cpu",
        amp: bool = False,
        margin: int = 4,
        embedding: str = "image",
    ) -> None:
        if embedding not in _EMBEDDINGS:
            raise ValueError(f"embedding must be one of {_EMBEDDINGS}, got {embedding!r}.")
        self.network = network
        self.inferer = inferer
        self.device = torch.device(device)
        self.amp = autocast_pays(device, amp)
        self.margin = margin
        self.embedding = embedding
        if isinstance(prototypes, ClassMemoryBank):
            prototypes = prototypes.class_means()
        if prototypes is not None and prototypes.ndim != 2:
            raise ValueError(f"prototypes must have shape (C, D), got {tuple(prototypes.shape)}.")
        known = prototypes is not None and bool((prototypes[1:] != 0).any())
        self.prototypes = prototypes.to(self.device).float() if prototypes is not None and known else None

    @torch.no_grad()
    def __call__(self, image: torch.Tensor, study_id: str) -> StudyScore:
        """
        Args:
            image: (M, *spatial), preprocessed as for inference.
            study_id: named in errors.

        Returns:
            the score, with an embedding (1, M * 8 ** axes) of the image or (C - 1, D) of the features.

        Raises:
            ValueError: naming the study, when the network's output is not finite, or its form does not fit.
        """
        logits, projection = self._run(image, study_id)
        num_classes = logits.shape[0]
        means, voxels = class_feature_means(projection, logits.argmax(0), num_classes)
        distances: tuple[float | None, ...] = ()
        if self.prototypes is not None:
            if self.prototypes.shape != means.shape:
                raise ValueError(
                    f"prototypes must have shape {tuple(means.shape)} for study {study_id}, "
                    f"got {tuple(self.prototypes.shape)}."
                )
            takes_part = (voxels > 0) & (self.prototypes != 0).any(1)
            takes_part[0] = False  # background has no single look
            values = relative_prototype_distances(means, self.prototypes).tolist()
            distances = tuple(d if part else None for d, part in zip(values, takes_part.tolist(), strict=True))
        present = [d for d in distances if d is not None]
        missing = _NOTHING_FOUND if self.prototypes is not None else None
        return StudyScore(
            embedding=self._embedding(image, means),
            prototype_distance=sum(present) / len(present) if present else missing,
            uncertainty=float(foreground_entropy(logits, self.margin)),
            class_distances=distances,
            class_voxels=tuple(voxels.tolist()),
        )

    @torch.no_grad()
    def prototypes_of(self, studies: Iterable[tuple[str, torch.Tensor, torch.Tensor]]) -> torch.Tensor:
        """
        Prototypes of labelled studies: the mean unit-length projected feature of a class's correctly predicted voxels,
        the mean of the studies' means.

        Args:
            studies: id, image (M, *spatial) and label (1, *spatial), preprocessed as for validation.

        Returns:
            (C, D); zeros for the background, and for a class of which no voxel was predicted correctly.

        Raises:
            ValueError: naming the study, as for a score, or when its label has another shape than its image; when
                there is no study.
        """
        sums: torch.Tensor | None = None
        studies_with: torch.Tensor | None = None
        for study_id, image, label in studies:
            if label.shape[1:] != image.shape[1:] or label.shape[0] != 1:
                raise ValueError(
                    f"label of study {study_id} must have shape {(1, *image.shape[1:])}, got {tuple(label.shape)}."
                )
            logits, projection = self._run(image, study_id)
            label = plain_tensors(label)[0].to(self.device).long()
            correct = torch.where(logits.argmax(0) == label, label, -1)
            means, voxels = class_feature_means(projection, correct, logits.shape[0])
            sums = means if sums is None else sums + means
            found = (voxels > 0).long()
            studies_with = found if studies_with is None else studies_with + found
        if sums is None or studies_with is None:
            raise ValueError("studies must hold at least one labelled study.")
        prototypes = sums / studies_with.clamp(min=1).unsqueeze(1)
        prototypes[0] = 0
        return prototypes

    def _embedding(self, image: torch.Tensor, means: torch.Tensor) -> torch.Tensor:
        if self.embedding == "features":
            return nn.functional.normalize(means[1:], dim=1).cpu()
        return thumbnail_embedding(plain_tensors(image)).cpu()

    def _run(self, image: torch.Tensor, study_id: str) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits (C, *spatial) and projection (D, *grid) of one image."""
        images = plain_tensors(image).unsqueeze(0).to(self.device)
        self.network.eval()
        with torch.autocast(self.device.type, enabled=self.amp):
            output = self.inferer(images, self._maps)
        if not isinstance(output, (tuple, list)) or len(output) != 2:
            raise ValueError(
                f"inferer must return the two maps of the network, as SlidingWindowInferer does, got "
                f"{type(output).__name__} from {type(self.inferer).__name__}."
            )
        for name, values in zip(("logits", "projection"), output, strict=True):
            if not torch.isfinite(values).all():
                raise ValueError(f"{name} of study {study_id} are not finite: check its image, and the network.")
        logits, projection = output
        return logits[0], projection[0]

    def _maps(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        output = self.network(images, full_output=True)
        # the inferer adds up windows in the precision of the images
        return output.logits.to(images.dtype), output.projection.to(images.dtype)
