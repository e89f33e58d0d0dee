"""What every datastore of the app has in common: labels and boxes are checked before anything is stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from monailabel.datastore.local import LocalDatastore
from monailabel.interfaces.datastore import DefaultLabelTag

from monai_proto.apps.monailabel.box_labels import BOXES_TAG, read_client_boxes, write_boxes
from monai_proto.apps.monailabel.label_checks import label_problem
from monai_proto.apps.monailabel.refusals import http_answers, refuse
from monai_proto.apps.monailabel.upstream import require_plain_name

__all__ = ["CheckedLabels"]


class CheckedLabels(LocalDatastore):
    """
    MONAI Label's local datastore, besides:

    - a label that does not lie on the grid of its image is refused, and what was stored before stays;
    - boxes from a client (JSON of Slicer's ROI markups, or a label map with one value a box) are stored as boxes;
    - unknown studies and names that lead elsewhere are answered by 404 and 422.

    Attributes:
        left_out: file, or series -> why it is not used.
    """

    left_out: dict[str, str]

    def image_path(self, study: str) -> str:
        """
        File of a study's image, for MONAI's ``LoadImage``; empty where there is no such study.

        Raises:
            ValueError: when the study's files make up no image.
        """
        return super().get_image_uri(study)

    def get_image_uri(self, image_id: str) -> str:
        """
        As :meth:`image_path`.

        Raises:
            HTTPException: 422 when the study's files make up no image.
        """
        with http_answers():
            return self.image_path(image_id)

    def is_volume(self, study: str) -> bool:
        """Whether a study is a volume; otherwise it is a photograph."""
        raise NotImplementedError

    def label_path(self, study: str) -> str:
        """File of a study's final label; empty where there is none."""
        return self.get_label_uri(study, DefaultLabelTag.FINAL.value)

    def boxes(self) -> dict[str, str]:
        """Study -> file of its boxes."""
        return {study: self.get_label_uri(study, BOXES_TAG) for study in self._datastore.filter_by_tag(BOXES_TAG)}

    def datalist(self, full_path: bool = True) -> list[dict[str, Any]]:
        """Studies with a final label."""
        return [
            {"image": self.get_image_uri(study), "label": self.label_path(study)} for study in self.get_labeled_images()
        ]

    def get_dataset_archive(self, limit_cases: int | None) -> str:
        """
        Raises:
            HTTPException: 404 when no study has a final label.
        """
        if not self.get_labeled_images():
            refuse(404, "No study has a final label yet.")
        return super().get_dataset_archive(limit_cases)

    def update_image_info(self, image_id: str, info: dict[str, Any]) -> None:
        """
        Raises:
            HTTPException: 404 when there is no such study.
        """
        self._require_study(image_id)
        super().update_image_info(image_id, info)

    def save_label(self, image_id: str, label_filename: str, label_tag: str, label_info: dict[str, Any]) -> str:
        """
        Raises:
            HTTPException: 404 when there is no such study; 422 when the label cannot be read or does not lie on the
                grid of the study's image, boxes are no boxes, or the tag is no plain name.
        """
        self._require_study(image_id)
        tag = str(getattr(label_tag, "value", label_tag))
        with http_answers():
            require_plain_name(tag, "tag")
            image = self.get_image_uri(image_id)
            if tag == BOXES_TAG or label_filename.lower().endswith(".json"):
                return self._save_boxes(image_id, image, label_filename, label_info)
            problem = label_problem(image, label_filename)
            if problem:
                raise ValueError(f"Label of {image_id}: {problem}")
            return self._store_label(image_id, label_filename, tag, label_info)

    def _store_label(self, image_id: str, file: str, tag: str, info: dict[str, Any]) -> str:
        """Keep a label that has been checked."""
        return LocalDatastore.save_label(self, image_id, file, tag, info)

    def _save_boxes(self, image_id: str, image: str, file: str, info: dict[str, Any]) -> str:
        boxes = read_client_boxes(file, image)
        canonical = write_boxes(boxes, Path(file).with_suffix(".boxes.json"))
        try:
            return LocalDatastore.save_label(self, image_id, str(canonical), BOXES_TAG, {**info, "objects": len(boxes)})
        finally:
            canonical.unlink(missing_ok=True)

    def remove_label(self, label_id: str, label_tag: str) -> None:
        """
        Raises:
            HTTPException: 404 when there is no such label.
        """
        if not self.get_label_uri(label_id, label_tag):
            refuse(404, f"There is no label {label_id} with the tag {label_tag}.")
        super().remove_label(label_id, label_tag)

    def _require_study(self, image_id: str) -> None:
        if image_id not in self._datastore.objects:
            refuse(404, f"There is no study {image_id!r}.")
