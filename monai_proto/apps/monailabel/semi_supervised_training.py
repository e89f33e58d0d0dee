"""Trains a semi-supervised bundle on the labelled and the unlabelled studies of the datastore."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from monai_proto.apps.monailabel.bundle_training import BundleTraining, held_out, loader
from monai_proto.apps.monailabel.checked_labels import CheckedLabels
from monai_proto.data.bundle_metadata import checkpoint_label_names
from monai_proto.data.nifti import Volume, VolumeProblem, read_volume
from monai_proto.data.volume_checks import check_image, check_label_values, check_same_affine, check_same_shape

__all__ = ["SemiSupervisedTraining"]

logger = logging.getLogger(__name__)


class SemiSupervisedTraining(BundleTraining):
    """
    :class:`BundleTraining` of a bundle for volumes. Every study without a final label is an unlabelled one.

    With five labelled studies or more, ``val_split`` of them are held out; with fewer, the labelled ones themselves are
    looked at, which says little but that training went on. An unlabelled study that cannot be read is left out, and the
    log of the training and ``training.json`` say so; a labelled one stops the training with its name.
    """

    def require_studies(self, datastore: CheckedLabels) -> None:
        """
        Raises:
            ValueError: when no volume has a final label, or too few have none.
        """
        labelled, unlabelled = _volumes(datastore)
        if not labelled:
            raise ValueError(f"{self.bundle.name} needs at least one volume with a final label; there is none.")
        self._require_unlabelled(len(unlabelled))

    def overrides(self, request: Mapping[str, Any], datastore: CheckedLabels) -> tuple[dict[str, Any], dict[str, Any]]:
        """
        Raises:
            ValueError: when a labelled study cannot be used, or too few unlabelled ones can be read.
        """
        labelled, unlabelled = _volumes(datastore)
        names = checkpoint_label_names(self.bundle.models / "model.pt", self.bundle.path)
        problems = {study: _pair_problem(datastore, study, len(names)) for study in labelled}
        wrong = [f"{study}: {problem}" for study, problem in problems.items() if problem]
        if wrong:
            raise ValueError(f"{len(wrong)} labelled studies cannot be used. {'; '.join(wrong)}")
        left_out = {study: problem for study in unlabelled if (problem := _readable_volume(datastore, study)[1])}
        for study, problem in left_out.items():
            logger.warning("Left out: unlabelled study %s: %s", study, problem)
        usable = [study for study in unlabelled if study not in left_out]
        self._require_unlabelled(len(usable))
        aside = held_out(labelled, float(request.get("val_split", 0.2)))
        training = [study for study in labelled if study not in aside]
        watched = sorted(aside) or training
        if not aside:
            logger.warning("No study is held out: the metric is that of the labelled studies trained on.")

        def item(study: str) -> dict[str, str]:
            return {"image": datastore.image_path(study), "label": datastore.label_path(study), "patient_id": study}

        datalist = {
            "labelled": [item(study) for study in training],
            "unlabelled": [{"image": datastore.image_path(study), "patient_id": study} for study in usable],
            "validation": [item(study) for study in watched],
        }
        logger.info("Training on %d labelled and %d unlabelled studies", len(training), len(usable))
        changed: dict[str, Any] = {"datalist": datalist}
        if "label_names" in self._defaults:
            changed["label_names"] = names
        remembered = {
            "labelled": training,
            "unlabelled": len(usable),
            "held_out": sorted(aside),
            "left_out": left_out,
        }
        return changed, remembered

    def _require_unlabelled(self, found: int) -> None:
        least = int(self._defaults["train"]["dataloader"]["unlabelled_batch_size"])
        if found < least:
            raise ValueError(
                f"{self.bundle.name} learns from unlabelled studies, too: it needs at least {least} volumes that can "
                f"be read and have no final label, and there are {found}; add some without a label."
            )

    def loaders(self, path: str) -> list[dict[str, Any]]:
        """The averaged teacher, which is what is served, starts from the served model, too."""
        return [loader(path, "@network"), loader(path, "@teacher")]


def _volumes(datastore: CheckedLabels) -> tuple[list[str], list[str]]:
    """Names of the labelled and of the unlabelled volumes."""
    labelled, unlabelled = datastore.get_labeled_images(), datastore.get_unlabeled_images()
    return [s for s in labelled if datastore.is_volume(s)], [s for s in unlabelled if datastore.is_volume(s)]


def _readable_volume(datastore: CheckedLabels, study: str) -> tuple[Volume | None, str | None]:
    """A study's volume, and what is wrong with it."""
    try:
        volume, problems = read_volume(datastore.image_path(study))
    except ValueError as error:  # a DICOM series that makes up no volume
        return None, str(error)
    if volume is None:
        return None, _text(problems)
    return volume, _text(problems or check_image(volume))


def _pair_problem(datastore: CheckedLabels, study: str, num_classes: int) -> str | None:
    volume, unusable = _readable_volume(datastore, study)
    if volume is None or unusable:
        return unusable
    try:
        mask, problems = read_volume(datastore.label_path(study))
    except ValueError as error:  # a SEG that does not lie on its series
        return str(error)
    if mask is None:
        return _text(problems)
    problems = problems or check_same_shape(volume, mask)
    problems = problems or [*check_same_affine(volume, mask), *check_label_values(mask, range(num_classes))]
    return _text(problems)


def _text(problems: Sequence[VolumeProblem]) -> str | None:
    return "; ".join(problem.message for problem in problems if not problem.is_warning) or None
