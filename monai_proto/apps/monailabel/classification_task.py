"""Classification of a photograph, with what the answer rests on."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import torch
from monai.transforms import Compose
from monailabel.utils.others.generic import name_to_device

from monai_proto.apps.monailabel.bundle_task import BundleTask
from monai_proto.data.color_image import read_color_image
from monai_proto.data.source_images import SourceImages
from monai_proto.networks.explanation import explain
from monai_proto.networks.nets.prototype_classifier import PrototypeClassifier
from monai_proto.visualize.explanation_figure import draw_explanation

__all__ = ["ClassificationTask"]


class ClassificationTask(BundleTask):
    """
    The answer of a :class:`PrototypeClassifier` as scores, and its "this looks like that" figure as the result image.
    """

    def __call__(self, request: dict[str, Any], callbacks: Any = None) -> tuple[str | None, dict[str, Any]]:
        """
        Returns:
            PNG with the explanation, and ``prediction`` (``idx``, ``label``, ``score`` of every class), ``answer``,
            ``uncertainty``, ``abstained`` and ``prototypes``.

        Raises:
            ValueError: when the image is no photograph, or cannot be read.
        """
        path = str(request["image"])
        self.require_kind(path)
        device = name_to_device(request.get("device", "cuda"))
        network: PrototypeClassifier = self._get_network(device, request)
        item = Compose(self.pre_transforms({"device": device}))({"image": path, "image_id": Path(path).stem})
        with torch.no_grad():
            output, grid = network.answer(item["image"][None].to(device))
        threshold = float(request.get("abstain_above") or self.bundle_config.get_parsed_content("abstain_above"))
        explanation = explain(network.head, output, [Path(path).stem], grid, threshold)[0]
        names = list(self.labels)
        figure = Path(tempfile.mkstemp(suffix=".png")[1])
        sources = SourceImages(self.bundle.models / "prototypes")
        draw_explanation(explanation, read_color_image(path), sources.load, names, figure)
        scores = explanation.probabilities.tolist()
        return str(figure), {
            "prediction": [
                {"idx": i, "label": n, "score": s} for i, (n, s) in enumerate(zip(names, scores, strict=True))
            ],
            "answer": names[explanation.answer],
            "uncertainty": explanation.uncertainty,
            "abstained": explanation.abstained,
            "prototypes": [
                {
                    "class": names[evidence.label],
                    "similarity": evidence.similarity,
                    "contribution": evidence.contribution,
                    "source": evidence.source and evidence.source.image_id,
                }
                for evidence in explanation.supporting
            ],
            "label_names": self.labels,
        }
