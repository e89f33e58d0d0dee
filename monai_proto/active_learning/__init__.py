"""Which study to label next: scores of studies, their cache, and the choice."""

from monai_proto.active_learning.score_studies import StudyScores, score_studies
from monai_proto.active_learning.study_score import StudyScore
from monai_proto.active_learning.study_score_cache import StudyFailure, StudyScoreCache, file_stamp
from monai_proto.active_learning.study_scorer import StudyScorer
from monai_proto.active_learning.study_selection import SelectionWeights, StudyChoice, StudyReasons, select_study
from monai_proto.active_learning.study_values import (
    class_feature_means,
    embedding_distances,
    foreground_entropy,
    prototype_distances,
    relative_prototype_distances,
    thumbnail_embedding,
)

__all__ = [
    "SelectionWeights",
    "StudyChoice",
    "StudyFailure",
    "StudyReasons",
    "StudyScore",
    "StudyScoreCache",
    "StudyScorer",
    "StudyScores",
    "class_feature_means",
    "embedding_distances",
    "file_stamp",
    "foreground_entropy",
    "prototype_distances",
    "relative_prototype_distances",
    "score_studies",
    "select_study",
    "thumbnail_embedding",
]
