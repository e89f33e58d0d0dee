"""The ways to choose the next study that the active learning benchmark compares."""

from __future__ import annotations

from dataclasses import dataclass

from monai_proto.active_learning import SelectionWeights

__all__ = ["ABLATIONS", "COMPARED", "STRATEGIES", "Strategy"]


@dataclass(frozen=True)
class Strategy:
    """
    Attributes:
        title: name in tables.
        order: ``"scores"`` (``select_study``), ``"random"`` or ``"list"``.
        weights: of ``select_study``; None for its defaults.
        duplicate_share: of ``select_study``; None for its default.
        typical_start: whether the first study is the medoid of the thumbnails, as in the app before there is a model;
            else it is the one that "random" starts with.
        embedding: of ``StudyScorer``.
        method: how the network is trained, see ``segmentation_methods``.
    """

    title: str
    order: str = "scores"
    weights: SelectionWeights | None = None
    duplicate_share: float | None = None
    typical_start: bool = True
    embedding: str = "image"
    method: str = "ours"

    @property
    def options(self) -> dict:
        """Arguments of ``select_study``."""
        share = {} if self.duplicate_share is None else {"duplicate_share": self.duplicate_share}
        return {"weights": self.weights, **share}


COMPARED = {
    "ours": Strategy("ours"),
    "random": Strategy("random", order="random", typical_start=False),
    "first": Strategy("first in the list", order="list", typical_start=False),
    # what an app without this project's parts does
    "labelled_only": Strategy(
        "random, unlabelled studies not used", order="random", typical_start=False, method="supervised"
    ),
}

# one change each against "ours"
ABLATIONS = {
    "random_start": Strategy("ours, random first study", typical_start=False),
    "trust_at_once": Strategy("ours, network's scores count at once", weights=SelectionWeights(full_trust=1)),
    "no_diversity": Strategy("ours without diversity", weights=SelectionWeights(1, 1, 0, 0, 1), duplicate_share=0),
    "uncertainty": Strategy("uncertainty only", weights=SelectionWeights(0, 1, 0, 0, 1), duplicate_share=0),
    "distance": Strategy("prototype distance only", weights=SelectionWeights(1, 0, 0, 0, 1), duplicate_share=0),
    "coverage": Strategy("coverage only", weights=SelectionWeights(0, 0, 1, 0)),
    "features": Strategy("ours, embedding of the features", embedding="features"),
    "novelty": Strategy("novelty only", weights=SelectionWeights(0, 0, 0, 1)),
}

STRATEGIES = {**COMPARED, **ABLATIONS}
