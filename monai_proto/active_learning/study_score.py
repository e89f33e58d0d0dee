"""What is known of a study that has no label yet."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch

__all__ = ["StudyScore"]


@dataclass(frozen=True)
class StudyScore:
    """
    Attributes:
        embedding: (K, D) for the distance between studies, see ``monai_proto.metrics.embedding_distances``.
        prototype_distance: mean over the predicted classes of the distance to the class's prototype, relative to the
            study's background (``monai_proto.metrics.relative_prototype_distances``), -2 .. 2; 0 for a study in which
            no class with a prototype is predicted; None without prototypes.
        uncertainty: mean entropy around the predicted foreground, 0 .. 1; None without a network.
        class_distances: prototype distance of each class, None for a class that is not predicted or has no prototype.
        class_voxels: predicted voxels of each class.

    Raises:
        ValueError: when the embedding is not (K, D) or a value is not finite.
    """

    embedding: torch.Tensor
    prototype_distance: float | None = None
    uncertainty: float | None = None
    class_distances: tuple[float | None, ...] = ()
    class_voxels: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.embedding.ndim != 2 or not torch.isfinite(self.embedding).all():
            raise ValueError(f"embedding must be finite, of shape (K, D), got {tuple(self.embedding.shape)}.")
        for name in ("prototype_distance", "uncertainty"):
            value = getattr(self, name)
            if value is not None and not math.isfinite(value):
                raise ValueError(f"{name} must be finite, got {value}.")

    def to_json(self) -> dict[str, Any]:
        """Plain values, from which :meth:`from_json` makes the same score."""
        fields = {name: value for name, value in self.__dict__.items() if name != "embedding"}
        return {"embedding": self.embedding.tolist(), **fields}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> StudyScore:
        """
        Raises:
            KeyError, TypeError, ValueError: when ``content`` is not of :meth:`to_json`.
        """
        return cls(
            embedding=torch.tensor(content["embedding"], dtype=torch.float32),
            prototype_distance=content["prototype_distance"],
            uncertainty=content["uncertainty"],
            class_distances=tuple(content["class_distances"]),
            class_voxels=tuple(content["class_voxels"]),
        )
