"""Says which study to label next, and why."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from monai.transforms import LoadImage
from monailabel.interfaces.tasks.strategy import Strategy

from monai_proto.active_learning.study_score import StudyScore
from monai_proto.active_learning.study_selection import select_study
from monai_proto.active_learning.study_values import thumbnail_embedding
from monai_proto.apps.monailabel.checked_labels import CheckedLabels
from monai_proto.apps.monailabel.study_scoring import PrototypeScoring

__all__ = ["PrototypeStrategy"]

logger = logging.getLogger(__name__)
_RECENT = 5  # studies offered last that the next one is to differ from
_LOOKED_AT = 100  # images that are read when no study has a score yet


class PrototypeStrategy(Strategy):
    """
    The unlabelled volume that is far from the prototypes, unsure, and stands for others that are not covered yet
    (:func:`monai_proto.data.select_study`). A request's ``model`` names the bundle whose scores count.

    It rests on the scores that :class:`PrototypeScoring` has computed, which the server does when it starts, after each
    training and after each choice. While there are none, the most typical volume is offered by the look of the images.

    Args:
        scoring: whose scores count.
        name: of the strategy, under which MONAI Label notes what was offered.
    """

    def __init__(self, scoring: PrototypeScoring, name: str = "prototype") -> None:
        super().__init__("Far from the prototypes, unsure, and unlike what is labelled")
        self.scoring = scoring
        self.name = name

    def __call__(self, request: Mapping[str, Any], datastore: CheckedLabels) -> dict[str, Any] | None:
        """
        Returns:
            ``id``, and ``reasons``, ``scored``, ``failures``; None when no volume is left.

        Raises:
            ValueError: when the request names a model that scores no studies.
        """
        unlabelled = [study for study in datastore.get_unlabeled_images() if datastore.is_volume(study)]
        labelled = [study for study in datastore.get_labeled_images() if datastore.is_volume(study)]
        if not unlabelled:
            return None
        known = self.scoring.chosen(request.get("model")).known(datastore)
        scores = {study: known.scores[study] for study in unlabelled if study in known.scores}
        failures = dict(known.failures)
        if not scores:
            by_look, of_labelled, unreadable = _looks(unlabelled, labelled, datastore)
            scores, failures = by_look, failures | unreadable
        else:
            of_labelled = [known.scores[study].embedding for study in labelled if study in known.scores]
        candidates = {study: score for study, score in scores.items() if study not in failures}
        if not candidates:
            logger.warning("No study can be offered: %s", failures)
            return None
        recent = [candidates[s].embedding for s in self._recent(list(candidates), datastore)]
        choice = select_study(candidates, of_labelled, recent)
        reasons = choice.reasons[choice.study_id]
        return {
            "id": choice.study_id,
            "reasons": {"priority": reasons.priority, **reasons.values},
            "scored": len(known.scores),
            "failures": failures,
        }

    def _recent(self, studies: list[str], datastore: CheckedLabels) -> list[str]:
        """Those offered last, the last first."""
        offered = {
            study: datastore.get_image_info(study).get("strategy", {}).get(self.name, {}).get("ts", 0)
            for study in studies
        }
        return sorted((s for s in studies if offered[s]), key=lambda s: (-offered[s], s))[:_RECENT]


def _looks(
    unlabelled: list[str], labelled: list[str], datastore: CheckedLabels
) -> tuple[dict[str, StudyScore], list, dict[str, str]]:
    """Scores from thumbnails of the first studies, embeddings of labelled ones, and what cannot be read."""
    load = LoadImage(image_only=True, ensure_channel_first=True)
    found, unreadable = {}, {}
    for study in [*labelled[:_LOOKED_AT], *unlabelled[:_LOOKED_AT]]:
        try:
            found[study] = StudyScore(thumbnail_embedding(load(datastore.image_path(study)).as_tensor()))
        except Exception as error:  # whatever a reader of images raises for a broken file
            unreadable[study] = f"{type(error).__name__}: {error.__cause__ or error}"
    scores = {study: found[study] for study in unlabelled if study in found}
    return scores, [found[study].embedding for study in labelled if study in found], unreadable
