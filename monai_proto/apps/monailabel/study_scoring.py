"""Scores every volume with a bundle's model, for the choice of the study to label next."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import pooch
import torch
from monai.inferers import SlidingWindowInferer
from monai.transforms import Compose
from monailabel.interfaces.tasks.scoring import ScoringMethod
from monailabel.utils.others.generic import name_to_device

from monai_proto.active_learning.score_studies import StudyScores, score_studies
from monai_proto.active_learning.study_score import StudyScore
from monai_proto.active_learning.study_score_cache import StudyFailure, StudyScoreCache, file_stamp
from monai_proto.active_learning.study_scorer import StudyScorer
from monai_proto.apps.monailabel.checked_labels import CheckedLabels
from monai_proto.apps.monailabel.refusals import unwrapped
from monai_proto.apps.monailabel.segmentation_task import SegmentationTask
from monai_proto.networks.blocks.class_memory_bank import ClassMemoryBank

__all__ = ["PrototypeScoring", "StudyScoring"]


class PrototypeScoring(ScoringMethod):
    """
    MONAI Label's scoring method ``prototype``: scores with one of the segmentation bundles.

    Args:
        studies: bundle -> its scoring.
    """

    def __init__(self, studies: Mapping[str, StudyScoring]) -> None:
        super().__init__("Prototype distance and uncertainty of every volume")
        self.studies = studies

    def __call__(self, request: Mapping[str, Any], datastore: CheckedLabels) -> dict[str, Any]:
        """
        Returns:
            counts, and the studies that could not be scored with the reason.

        Raises:
            ValueError: when ``model`` names a bundle that scores no studies.
        """
        return self.chosen(request.get("model")).compute(request, datastore)

    def chosen(self, model: str | None) -> StudyScoring:
        """
        The scoring of a bundle; by default of the one that was trained last in the app, else of the first.

        Raises:
            ValueError: when there is no such bundle.
        """
        if model:
            if model not in self.studies:
                raise ValueError(f"model must be one of {', '.join(self.studies)}, got {model!r}.")
            return self.studies[model]
        trained = {name: one.task.bundle.models / "training.json" for name, one in self.studies.items()}
        dates = {name: file.stat().st_mtime for name, file in trained.items() if file.is_file()}
        return self.studies[max(dates, key=dates.__getitem__) if dates else next(iter(self.studies))]


class StudyScoring:
    """
    Prototype distance, uncertainty and embedding of every volume, kept in the bundle's folder until its model or the
    study changes. The prototypes are those of the class memory bank in the checkpoint; of weights without one they are
    made from the labelled studies.

    Args:
        task: the bundle's inference.
    """

    def __init__(self, task: SegmentationTask) -> None:
        self.task = task

    def compute(self, request: Mapping[str, Any], datastore: CheckedLabels) -> dict[str, Any]:
        """
        Score what has no score of the model that is served.

        Returns:
            counts, and the studies that could not be scored with the reason.
        """
        device = name_to_device(request.get("device", "cuda"))
        stamps, cache = self._stamps(datastore), self._cache(datastore)
        missing = [study for study, stamp in stamps.items() if cache.get(study, stamp) is None]
        # before the first study: weights that do not fit are no fault of a study's
        scorer = self._scorer(device, datastore) if missing else None
        if cache.model_stamp != self._cache(datastore).model_stamp:
            raise RuntimeError(f"The model of {self.task.bundle.name} changed while it was loaded.")

        def score(study: str) -> StudyScore:
            assert scorer is not None  # only what is missing is asked for
            return scorer(self._image(study, datastore, device), study)

        result = score_studies(stamps, score, cache)
        return {"scored": len(result.scores), "computed": len(result.computed), "failures": result.failures}

    def known(self, datastore: CheckedLabels) -> StudyScores:
        """Scores of the model that is served, as far as they have been computed."""
        cache = self._cache(datastore)
        scores: dict[str, StudyScore] = {}
        failures: dict[str, str] = {}
        for study, stamp in self._stamps(datastore).items():
            entry = cache.get(study, stamp)
            if isinstance(entry, StudyFailure):
                failures[study] = entry.error
            elif entry is not None:
                scores[study] = entry
        return StudyScores(scores, failures)

    def _cache(self, datastore: CheckedLabels) -> StudyScoreCache:
        file = self.task.weights_file(None)
        stamp = pooch.file_hash(file)
        if "bank" not in torch.load(file, map_location="cpu", weights_only=True, mmap=True):
            labelled = [s for s in datastore.get_labeled_images() if datastore.is_volume(s)]
            stamps = [f"{s} {file_stamp(datastore.label_path(s))}" for s in sorted(labelled)]
            stamp = hashlib.sha256("\n".join([stamp, *stamps]).encode()).hexdigest()
        return StudyScoreCache(self.task.bundle.path / "study_scores.json", stamp)

    def _stamps(self, datastore: CheckedLabels) -> dict[str, str]:
        stamps = {}
        for study in datastore.list_images():
            if datastore.is_volume(study):
                try:
                    stamps[study] = file_stamp(datastore.image_path(study))
                except ValueError as error:  # a DICOM series that makes up no volume: it fails again when it is scored
                    stamps[study] = str(error)
        return stamps

    def _scorer(self, device: str, datastore: CheckedLabels) -> StudyScorer:
        network = self.task.load_network(device)
        patch = self.task.bundle_config.get_parsed_content("patch_size")
        inferer = SlidingWindowInferer(patch, sw_batch_size=4, overlap=0.25)
        checkpoint = torch.load(self.task.weights_file(None), map_location=device, weights_only=True)
        if "bank" in checkpoint:
            classes, _, features = checkpoint["bank"]["rows"].shape
            bank = ClassMemoryBank(classes, features, checkpoint["bank"]["rows"].shape[1])
            bank.load_state_dict(checkpoint["bank"])
            return StudyScorer(network, inferer, bank.to(device), device)
        scorer = StudyScorer(network, inferer, None, device)
        labelled = [s for s in datastore.get_labeled_images() if datastore.is_volume(s)]
        if not labelled:
            return scorer
        pairs = ((s, *self._pair(s, datastore)) for s in labelled)
        return StudyScorer(network, inferer, scorer.prototypes_of(pairs), device)

    def _image(self, study: str, datastore: CheckedLabels, device: str) -> torch.Tensor:
        transforms = Compose(self.task.pre_transforms({"device": device}))
        try:
            return transforms({"image": datastore.image_path(study)})["image"]
        except Exception as error:
            raise unwrapped(error) from None

    def _pair(self, study: str, datastore: CheckedLabels) -> tuple[torch.Tensor, torch.Tensor]:
        """Image and label on the grid that the network sees."""
        keys = {"image": datastore.image_path(study), "label": datastore.label_path(study)}
        item = Compose(self.task.validation_transforms())(keys)
        return item["image"], item["label"]
