"""Which study to label next: far from the prototypes, unsure, and unlike what is labelled already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from scipy.stats import rankdata

from monai_proto.active_learning.study_score import StudyScore
from monai_proto.active_learning.study_values import embedding_distances

__all__ = ["SelectionWeights", "StudyChoice", "StudyReasons", "select_study"]

_OF_THE_NETWORK = ("prototype_distance", "uncertainty")
_VALUES = (*_OF_THE_NETWORK, "coverage", "novelty")
_CHUNK = 1024
_SAMPLE = 512


@dataclass(frozen=True)
class SelectionWeights:
    """
    Weights of the ranks, none negative, not all zero.

    Attributes:
        prototype_distance, uncertainty: of the network's scores.
        coverage: of how much nearer the studies that are left would be to a labelled one: representative studies of
            what is not covered yet.
        novelty: of the distance to the nearest labelled or recently offered study: outliers first.
        full_trust: labelled studies from which prototype distance and uncertainty count fully. With one their weights
            are zero, and they grow in equal steps: where a network that has seen one or two studies is unsure, another
            typical study helps more than an odd one. 1 lets them count at once.

    Raises:
        ValueError: when a weight is negative, all are zero, or ``full_trust`` is below 1.
    """

    prototype_distance: float = 1.0
    uncertainty: float = 1.0
    coverage: float = 2.0
    novelty: float = 0.0
    full_trust: int = 4

    def __post_init__(self) -> None:
        if self.full_trust < 1:
            raise ValueError(f"full_trust must be at least 1, got {self.full_trust}.")
        for name in _VALUES:
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}.")
        if not any(getattr(self, name) for name in _VALUES):
            raise ValueError("weights must not all be zero.")

    def after(self, num_labelled: int) -> dict[str, float]:
        """Weight of each value with so many labelled studies."""
        missing = max(self.full_trust - max(num_labelled, 1), 0)
        trust = 1 - missing / max(self.full_trust - 1, 1)
        return {name: getattr(self, name) * (trust if name in _OF_THE_NETWORK else 1.0) for name in _VALUES}


@dataclass(frozen=True)
class StudyReasons:
    """
    Why a study has its place. ``values`` and ``ranks`` go by the names of the weights.

    Attributes:
        priority: weighted mean of the ranks, 0 .. 1; the highest is chosen.
        values: prototype distance, uncertainty, coverage and novelty; those that are not known are left out.
        ranks: of each value that counts, among all candidates, 0 .. 1, 1 being the largest; studies with the same
            value share the mean of their ranks.
        near_duplicate: whether it is so like a recently offered study that it was passed over.
    """

    priority: float
    values: dict[str, float]
    ranks: dict[str, float]
    near_duplicate: bool


@dataclass(frozen=True)
class StudyChoice:
    """
    Attributes:
        study_id: the study to label next.
        order: all candidates, the next first, near-duplicates of recently offered ones last.
        reasons: of every candidate.
    """

    study_id: str
    order: tuple[str, ...]
    reasons: dict[str, StudyReasons]


def select_study(
    candidates: Mapping[str, StudyScore],
    labelled: Sequence[torch.Tensor] = (),
    recent: Sequence[torch.Tensor] = (),
    weights: SelectionWeights | None = None,
    duplicate_share: float = 0.5,
) -> StudyChoice:
    """
    The study with the largest weighted mean of ranks; ties go to the smallest id.

    With nothing labelled and nothing offered, the network's scores mean little, and the most typical study is taken:
    the one with the least mean distance to all others (their medoid).

    Args:
        candidates: id -> score of every study without a label that can be offered.
        labelled: embeddings (K, D) of the studies with a label, of the same network.
        recent: embeddings (K, D) of the studies that were offered last, with a label by now or not.
        weights: of the ranks. A value that no candidate has is left out.
        duplicate_share: a study whose distance to a recently offered one is below this share of the median distance
            between candidates counts as its near-duplicate, and is passed over unless nothing else is left.

    Raises:
        ValueError: when there is no candidate, a value is known of some candidates only, the embeddings are of
            different forms, or ``duplicate_share`` is negative.
    """
    weights = weights or SelectionWeights()
    if not candidates:
        raise ValueError("candidates must hold at least one study.")
    if not duplicate_share >= 0:
        raise ValueError(f"duplicate_share must not be negative, got {duplicate_share}.")
    ids = sorted(candidates)
    embeddings = _stacked([candidates[study].embedding for study in ids], "candidates")
    known = _stacked([*labelled, *recent], "labelled and recent", embeddings)
    values = _embedding_values(embeddings, known)
    if len(known):
        values |= _score_values(candidates, ids)
    used = {name: weight for name, weight in weights.after(len(labelled)).items() if weight and name in values}
    used = used or {"coverage": 1.0}  # the weights are all on values that are not known, or not trusted, yet
    ranks = {name: (rankdata(values[name]) - 0.5) / len(ids) for name in used}
    priority = sum(weight * ranks[name] for name, weight in used.items()) / sum(used.values())
    near = _near_duplicates(embeddings, _stacked(recent, "recent", embeddings), duplicate_share)
    # rounded, so that the order in which the ranks are added up cannot break a tie
    order = sorted(range(len(ids)), key=lambda i: (near[i], -round(float(priority[i]), 9), ids[i]))
    reasons = {
        study: StudyReasons(
            float(priority[i]),
            {name: value[i] for name, value in values.items()},
            {name: float(rank[i]) for name, rank in ranks.items()},
            near[i],
        )
        for i, study in enumerate(ids)
    }
    return StudyChoice(ids[order[0]], tuple(ids[i] for i in order), reasons)


def _stacked(embeddings: Sequence[torch.Tensor], name: str, like: torch.Tensor | None = None) -> torch.Tensor:
    """(S, K, D) in double precision on the CPU: a choice must not depend on the device."""
    form = like.shape[1:] if like is not None else embeddings[0].shape
    for embedding in embeddings:
        if embedding.shape != form:
            raise ValueError(
                f"{name} must have embeddings of one form, got {tuple(embedding.shape)} and {tuple(form)}."
            )
    if not len(embeddings):
        return torch.zeros(0, *form, dtype=torch.float64)
    return torch.stack([embedding.detach().cpu().double() for embedding in embeddings])


def _score_values(candidates: Mapping[str, StudyScore], ids: Sequence[str]) -> dict[str, list[float]]:
    values = {}
    for name in _OF_THE_NETWORK:
        found = [getattr(candidates[study], name) for study in ids]
        missing = [study for study, value in zip(ids, found, strict=True) if value is None]
        if missing and len(missing) < len(ids):
            raise ValueError(f"candidates must all have a {name} or none, but {missing[0]} has none.")
        if not missing:
            values[name] = found
    return values


def _embedding_values(embeddings: torch.Tensor, known: torch.Tensor) -> dict[str, list[float]]:
    """
    Coverage: mean over all candidates of how much nearer to a known study each would be if this one were known, too.
    With nothing known, the largest coverage is that of the medoid.
    """
    if len(known):
        nearest = torch.cat([embedding_distances(part, known).amin(1) for part in embeddings.split(_CHUNK)])
    else:
        nearest = embeddings.new_full((len(embeddings),), 2.0)  # no distance is larger
    coverage = [(nearest - embedding_distances(part, embeddings)).relu().mean(1) for part in embeddings.split(_CHUNK)]
    # distances come from sums in another order for other candidates: equal ones must stay equal
    values = {"coverage": torch.cat(coverage).round(decimals=9).tolist()}
    if len(known):
        values["novelty"] = nearest.round(decimals=9).tolist()
    return values


def _near_duplicates(embeddings: torch.Tensor, recent: torch.Tensor, share: float) -> list[bool]:
    if not len(recent) or len(embeddings) < 2:
        return [False] * len(embeddings)
    sample = embeddings[torch.linspace(0, len(embeddings) - 1, min(len(embeddings), _SAMPLE)).round().long()]
    pairs = embedding_distances(sample, sample)
    median = pairs[~torch.eye(len(sample), dtype=torch.bool)].median()
    return (embedding_distances(embeddings, recent).amin(1) < share * median).tolist()
