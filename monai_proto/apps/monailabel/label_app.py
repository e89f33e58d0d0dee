"""The app: which models it serves, trains and asks, and what it refuses."""

from __future__ import annotations

import logging
import os
import re
import tempfile
from pathlib import Path
from typing import Any

import torch
from fastapi import HTTPException
from monailabel.interfaces.app import MONAILabelApp
from monailabel.interfaces.tasks.infer_v2 import InferTask
from monailabel.interfaces.tasks.scoring import ScoringMethod
from monailabel.interfaces.tasks.strategy import Strategy
from monailabel.interfaces.tasks.train import TrainTask
from monailabel.tasks.activelearning.first import First
from monailabel.tasks.activelearning.random import Random
from monailabel.utils.async_tasks.utils import tasks

import monai_proto
from monai_proto.apps.monailabel.box_training import BoxTraining
from monai_proto.apps.monailabel.checked_labels import CheckedLabels
from monai_proto.apps.monailabel.classification_task import ClassificationTask
from monai_proto.apps.monailabel.label_classes import LabelClasses, bundle_segments
from monai_proto.apps.monailabel.prompt_task import PromptTask
from monai_proto.apps.monailabel.prototype_strategy import PrototypeStrategy
from monai_proto.apps.monailabel.refusals import http_answers, refuse
from monai_proto.apps.monailabel.segmentation_task import SegmentationTask
from monai_proto.apps.monailabel.semi_supervised_training import SemiSupervisedTraining
from monai_proto.apps.monailabel.server_routes import add_routes
from monai_proto.apps.monailabel.study_datastore import StudyDatastore
from monai_proto.apps.monailabel.study_scoring import PrototypeScoring, StudyScoring
from monai_proto.apps.monailabel.web_studies import WebStudies, web_client
from monai_proto.apps.monailabel.workspace import (
    bundles_for,
    default_workspace,
    is_inside,
    is_web_address,
)
from monai_proto.dicom.seg_writer import Algorithm
from monai_proto.workflows.catalog import bundles_folder

__all__ = ["ProtoLabelApp"]

logger = logging.getLogger(__name__)
_TASKS = {"segmentation": SegmentationTask, "classification": ClassificationTask, "promptable": PromptTask}
_UPLOAD = re.compile(r"tmp[a-z0-9_]{8}(\.\w+)*")


class ProtoLabelApp(MONAILabelApp):
    """
    Args:
        app_dir: folder that MONAI Label was given.
        studies: folder of the studies, or address of a DICOMweb server.
        conf: ``models`` (names of bundles, with commas; default all), ``bundles`` (their folder; default those of the
            package), ``workspace`` (folder for copies of the bundles; default :func:`default_workspace`), ``modality``
            (``ct`` or ``mr``, for SAM on slices).
    """

    def __init__(self, app_dir: str, studies: str, conf: dict[str, str]) -> None:
        self.workspace = Path(conf.get("workspace") or default_workspace(studies))
        names = [name.strip() for name in conf.get("models", "").split(",") if name.strip()]
        bundles_dir = Path(conf["bundles"]) if conf.get("bundles") else bundles_folder()
        self.bundles = bundles_for(bundles_dir, self.workspace, names or None)
        super().__init__(
            app_dir=app_dir,
            studies=studies,
            conf=conf,
            name="monai_proto",
            description="Few labels: trains on labelled and unlabelled studies, from boxes, and explains its answers",
            version=monai_proto.__version__,
        )

    def init_datastore(self) -> CheckedLabels:
        """The studies folder, or the DICOMweb server."""
        if not is_web_address(self.studies):
            return StudyDatastore(self.studies, self.workspace)
        segmenting = [bundle for bundle in self.bundles.values() if bundle.kind == "segmentation"]
        return WebStudies(web_client(self.studies), self.workspace, LabelClasses(segmenting))

    def init_infers(self) -> dict[str, InferTask]:
        """A task for each bundle."""
        return {name: _TASKS[bundle.kind](bundle, self.conf) for name, bundle in self.bundles.items()}

    def init_trainers(self) -> dict[str, TrainTask]:
        """The semi-supervised and the SAM bundles can be trained from a client."""
        kinds = {"segmentation": SemiSupervisedTraining, "promptable": BoxTraining}
        return {name: kinds[b.kind](b) for name, b in self.bundles.items() if b.kind in kinds}

    def init_strategies(self) -> dict[str, Strategy]:
        """What can say which study is next."""
        ours = {"prototype": PrototypeStrategy(self._scoring)} if self._scoring.studies else {}
        return {**ours, "random": Random(), "first": First()}

    def init_scoring_methods(self) -> dict[str, ScoringMethod]:
        """What the strategy rests on."""
        return {"prototype": self._scoring} if self._scoring.studies else {}

    @property
    def _scoring(self) -> PrototypeScoring:
        segmenters = {name: task for name, task in self._infers.items() if isinstance(task, SegmentationTask)}
        return PrototypeScoring({name: StudyScoring(task) for name, task in segmenters.items()})

    def async_scoring(self, method: str | None, params: dict[str, Any] | None = None) -> dict[str, Any]:
        """
        MONAI Label asks for scores when it starts, after every choice and every training. A request waits for the one
        that runs, and one that waits is enough.
        """
        if self._server_mode:
            waits = any(entry["status"] == "SUBMITTED" for entry in tasks("scoring"))
            return {} if waits else super().async_scoring(method, params)
        # from the process of a training: upstream's route for one method refuses while another one runs
        return self._local_request("/scoring/", None, "Scoring") or {}

    def info(self) -> dict[str, Any]:
        """What clients show; ``left_out`` names files that are no study, and SEG that are no label."""
        return {**super().info(), "left_out": self.datastore().left_out}

    def infer(self, request: dict[str, Any], datastore: CheckedLabels | None = None) -> dict[str, Any]:
        """
        Raises:
            HTTPException: 404 for an unknown model or study, 403 for a file elsewhere, 409 for weights that do not fit,
                422 for what the model cannot take.
        """
        if request.get("model") not in self._infers:
            refuse(404, f"There is no model {request.get('model')!r}; there are {', '.join(self._infers)}.")
        datastore = datastore or self.datastore()
        image = request.get("image")
        if isinstance(image, str) and not datastore.get_image_uri(image):
            self._require_upload(image)
        with http_answers():
            return super().infer(request, datastore)

    def batch_infer(self, request: dict[str, Any], datastore: CheckedLabels | None = None) -> dict[str, Any]:
        """
        Returns:
            study -> result, or ``error`` where the model cannot take it: one broken study does not end the batch.
        """
        several = torch.cuda.device_count() > 1
        request = {**request, "multi_gpu": bool(request.get("multi_gpu", True)) and several}
        return self._batch_infer(request, datastore or self.datastore(), self._result_or_error)

    def _result_or_error(self, request: dict[str, Any], datastore: CheckedLabels) -> dict[str, Any]:
        try:
            return self.infer(request, datastore)
        except HTTPException as error:
            logger.warning("No result for %s: %s", request.get("image"), error.detail)
            return {"error": error.detail}

    def dicom_seg(self, model: str, image: str, label: str) -> str:
        """
        What a model made of a series, as a DICOM SEG in a file for temporary files.

        Raises:
            HTTPException: 422 when the studies are not those of a DICOMweb server.
        """
        datastore = self.datastore()
        if not isinstance(datastore, WebStudies):
            refuse(422, "output=dicom_seg is for the studies of a DICOMweb server, these are in a folder.")
        task = self._infers[model]
        algorithm = Algorithm(model, str(task.version))
        with http_answers():
            file = tempfile.mkstemp(suffix=".dcm")[1]
            return str(datastore.write_seg(image, label, bundle_segments(task.bundle), algorithm, file))

    def _require_upload(self, path: str) -> None:
        """A file that came with the request lies in the folder for temporary files; a session's in that of sessions."""
        sessions = self.sessions()
        if sessions is not None and os.path.exists(path) and is_inside(path, sessions.store_path):
            return
        name, uploads = os.path.basename(path), os.path.realpath(tempfile.gettempdir())
        if _UPLOAD.fullmatch(name) and os.path.isfile(path) and os.path.realpath(path) == os.path.join(uploads, name):
            return
        if os.path.isabs(path) or ".." in Path(path).parts:
            refuse(403, f"{path!r} is no study: images are named, or sent along.")
        refuse(404, f"There is no study {path!r}.")

    def on_init_complete(self) -> None:
        """Called when the server starts."""
        super().on_init_complete()
        add_routes(self.require_trainable, self.dicom_seg)

    def bundle_path(self, model: str | None) -> None:
        """None: nothing of a bundle has to be on the path of the training's process."""

    def require_trainable(self, model: str, may_wait: bool) -> None:
        """
        Raises:
            HTTPException: 404 for a model that cannot be trained, 422 when studies are missing, 429 when a training
                waits or runs and this one must not wait.
        """
        task = self._trainers.get(model)
        if task is None:
            refuse(404, f"There is no model {model!r} to train; there are {', '.join(self._trainers)}.")
        if not may_wait and any(entry["status"] in ("SUBMITTED", "RUNNING") for entry in tasks("train")):
            refuse(429, "A training runs already; wait for it, or stop it.")
        with http_answers():
            task.require_studies(self.datastore())

    def next_sample(self, request: dict[str, Any]) -> dict[str, Any]:
        """
        Raises:
            HTTPException: 404 for an unknown strategy.
        """
        strategy = request.get("strategy") or "random"
        if strategy not in self._strategies:
            refuse(404, f"There is no strategy {strategy!r}; there are {', '.join(self._strategies)}.")
        with http_answers():
            return super().next_sample(request)
