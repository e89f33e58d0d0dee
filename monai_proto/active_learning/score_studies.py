"""Scores the studies whose scores are not known yet, and says which could not be scored."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch

from monai_proto.active_learning.study_score import StudyScore
from monai_proto.active_learning.study_score_cache import StudyFailure, StudyScoreCache

__all__ = ["StudyScores", "score_studies"]

_SAVE_EVERY = 20
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class StudyScores:
    """
    Attributes:
        scores: id -> score.
        failures: id -> why the study could not be scored; it is not a candidate.
        computed: ids that were scored, or failed, in this call.
    """

    scores: dict[str, StudyScore] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    computed: tuple[str, ...] = ()


def score_studies(stamps: Mapping[str, str], score: Callable[[str], StudyScore], cache: StudyScoreCache) -> StudyScores:
    """
    Take scores from the cache, compute those that it does not have, and save it. Studies that are not given any more
    are forgotten. What is computed is saved every few studies, so that a stop loses little.

    Args:
        stamps: id -> stamp of the study's content, see :func:`file_stamp`.
        score: loads, preprocesses and scores a study. An exception means that the study is broken; it is recorded with
            the study's stamp, and not tried again before the study or the model changes.
        cache: of the model.

    Raises:
        MemoryError, torch.OutOfMemoryError: which say nothing about the study.
    """
    scores, failures, computed = {}, {}, []
    cache.keep_only(set(stamps))
    try:
        for study, stamp in stamps.items():
            result = cache.get(study, stamp)
            if result is None:
                result = _score(study, score)
                cache.put(study, stamp, result)
                computed.append(study)
                if len(computed) % _SAVE_EVERY == 0:
                    cache.save()
            if isinstance(result, StudyFailure):
                failures[study] = result.error
            else:
                scores[study] = result
    finally:
        cache.save()
    return StudyScores(scores, failures, tuple(computed))


def _score(study: str, score: Callable[[str], StudyScore]) -> StudyScore | StudyFailure:
    try:
        return score(study)
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # whatever a reader of images raises for a broken file
        _logger.warning("Study %s cannot be scored: %s", study, error)
        return StudyFailure(f"{type(error).__name__}: {error}")
