"""The studies folder, with names, labels and boxes checked before anything is written."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from monailabel.config import settings
from monailabel.datastore.local import LocalDatastore
from monailabel.interfaces.datastore import DefaultLabelTag

from monai_proto.apps.monailabel.box_labels import BOXES_TAG, read_client_boxes, write_boxes
from monai_proto.apps.monailabel.dicom_studies import DicomStudies
from monai_proto.apps.monailabel.label_checks import PICTURE_EXTENSIONS, label_problem
from monai_proto.apps.monailabel.refusals import http_answers, refuse
from monai_proto.apps.monailabel.upstream import require_plain_name

__all__ = ["StudyDatastore"]

VOLUME_EXTENSIONS = (".nii.gz", ".nii")
_EXTENSIONS = (*VOLUME_EXTENSIONS, *PICTURE_EXTENSIONS)


class StudyDatastore(LocalDatastore):
    """
    MONAI Label's local datastore: NIfTI volumes and photographs in a folder, labels in ``labels/TAG/``. Besides:

    - a sub-folder that holds a DICOM series is a study, too; it is converted to NIfTI when it is first asked for;
    - a label that does not lie on the grid of its image is refused, and what was stored before stays;
    - boxes from a client (JSON of Slicer's ROI markups, or a label map with one value a box) are stored as boxes;
    - unknown studies and names that lead elsewhere are answered by 404 and 422.

    Args:
        studies: the folder.
        workspace: the app's folder, for converted series.

    Attributes:
        left_out: file -> why it is no study.
    """

    def __init__(self, studies: str | os.PathLike, workspace: Path) -> None:
        self._dicom = DicomStudies(Path(studies), workspace / "dicom", ignored=(workspace, Path(studies) / "labels"))
        self._series: frozenset[str] = frozenset()
        self.left_out: dict[str, str] = {}
        super().__init__(
            os.fspath(studies),
            extensions=[f"*{end}" for end in _EXTENSIONS],
            auto_reload=settings.MONAI_LABEL_DATASTORE_AUTO_RELOAD,
            read_only=settings.MONAI_LABEL_DATASTORE_READ_ONLY,
        )

    # studies

    def _list_files(self, path: str, patterns: list[str]) -> dict[str, str]:
        files = {name: file for name, file in super()._list_files(path, patterns).items() if not name.startswith(".")}
        if os.path.realpath(path) != os.path.realpath(self._datastore.image_path()):
            return files
        self._series = frozenset(self._dicom.names())
        files |= {name: name for name in self._series}
        by_id: dict[str, list[str]] = {}
        for name in sorted(files):
            by_id.setdefault(self._to_id(name)[0], []).append(name)
        known = {i: i + self._datastore.objects[i].image.ext for i in by_id if i in self._datastore.objects}
        self.left_out = {}
        for study, names in by_id.items():
            kept = known.get(study) if known.get(study) in names else names[0]
            for name in names:
                if name != kept:
                    self.left_out[name] = f"has the same name as {kept} but for its ending"
                    del files[name]
        return files

    def _to_id(self, file: str) -> tuple[str, str]:
        if file in self._series:
            return file, ""
        ending = next((e for e in _EXTENSIONS if file.lower().endswith(e)), None)
        if ending is None:
            return super()._to_id(file)
        return file[: -len(ending)], file[-len(ending) :]

    def get_image_uri(self, image_id: str) -> str:
        """
        Path of a study's image; of a DICOM study that of the NIfTI file made of it.

        Raises:
            HTTPException: 422 when a DICOM study cannot be converted.
        """
        with http_answers():
            return self.image_path(image_id)

    def image_path(self, study: str) -> str:
        """
        As :meth:`get_image_uri`.

        Raises:
            ValueError: when a DICOM study cannot be converted.
        """
        entry = self._datastore.objects.get(study)
        if entry is not None and not entry.image.ext:
            return str(self._dicom.nifti(study))
        return super().get_image_uri(study)

    def is_volume(self, study: str) -> bool:
        """Whether a study is a volume; otherwise it is a photograph."""
        return self._datastore.objects[study].image.ext.lower() not in PICTURE_EXTENSIONS

    def label_path(self, study: str) -> str:
        """File of a study's final label; empty where there is none."""
        return self.get_label_uri(study, DefaultLabelTag.FINAL.value)

    def datalist(self, full_path: bool = True) -> list[dict[str, Any]]:
        """Studies with a final label."""
        return [
            {"image": self.get_image_uri(study), "label": self.label_path(study)} for study in self.get_labeled_images()
        ]

    def add_image(self, image_id: str, image_filename: str, image_info: dict[str, Any]) -> str:
        """
        Raises:
            HTTPException: 422 when the name is no plain name, or the file is of a kind that no study has; 409 when
                there is such a study.
        """
        study, ending = self._to_id(os.path.basename(image_filename))
        study = image_id or study
        with http_answers():
            require_plain_name(study, "image")
            if ending.lower() not in _EXTENSIONS:
                raise ValueError(f"image must be one of {', '.join(_EXTENSIONS)}, got {ending!r}.")
        if study in self._datastore.objects:
            refuse(409, f"There is a study {study} already; remove it first.")
        return super().add_image(study, image_filename, image_info)

    def remove_image(self, image_id: str) -> None:
        """
        Raises:
            HTTPException: 404 when there is no such study, 409 for a DICOM folder, which is not the app's to delete.
        """
        self._require_study(image_id)
        if not self._datastore.objects[image_id].image.ext:
            refuse(409, f"Study {image_id} is a folder of DICOM files; remove it by hand.")
        super().remove_image(image_id)

    def update_image_info(self, image_id: str, info: dict[str, Any]) -> None:
        """
        Raises:
            HTTPException: 404 when there is no such study.
        """
        self._require_study(image_id)
        super().update_image_info(image_id, info)

    # labels

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
        return super().save_label(image_id, label_filename, tag, label_info)

    def _save_boxes(self, image_id: str, image: str, file: str, info: dict[str, Any]) -> str:
        boxes = read_client_boxes(file, image)
        canonical = write_boxes(boxes, Path(file).with_suffix(".boxes.json"))
        try:
            return super().save_label(image_id, str(canonical), BOXES_TAG, {**info, "objects": len(boxes)})
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

    def get_dataset_archive(self, limit_cases: int | None) -> str:
        """
        Raises:
            HTTPException: 404 when no study has a final label.
        """
        if not self.get_labeled_images():
            refuse(404, "No study has a final label yet.")
        return super().get_dataset_archive(limit_cases)

    def boxes(self) -> dict[str, str]:
        """Study -> file of its boxes."""
        return {study: self.get_label_uri(study, BOXES_TAG) for study in self._datastore.filter_by_tag(BOXES_TAG)}

    def _require_study(self, image_id: str) -> None:
        if image_id not in self._datastore.objects:
            refuse(404, f"There is no study {image_id!r}.")
