"""The studies folder, with names checked before anything is written."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from monailabel.config import settings

from monai_proto.apps.monailabel.checked_labels import CheckedLabels
from monai_proto.apps.monailabel.dicom_studies import DicomStudies
from monai_proto.apps.monailabel.refusals import http_answers, refuse
from monai_proto.apps.monailabel.upstream import require_plain_name
from monai_proto.data.picture_files import PICTURE_SUFFIXES

__all__ = ["StudyDatastore"]

VOLUME_EXTENSIONS = (".nii.gz", ".nii")
_EXTENSIONS = (*VOLUME_EXTENSIONS, *PICTURE_SUFFIXES)


class StudyDatastore(CheckedLabels):
    """
    :class:`CheckedLabels` of NIfTI volumes and photographs in a folder, labels in ``labels/TAG/``. A sub-folder that
    holds a DICOM series is a study, too; it is converted to NIfTI when it is first asked for.

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

    def image_path(self, study: str) -> str:
        """
        Path of a study's image; of a DICOM study that of the NIfTI file made of it.

        Raises:
            ValueError: when a DICOM study cannot be converted.
        """
        entry = self._datastore.objects.get(study)
        if entry is not None and not entry.image.ext:
            return str(self._dicom.nifti(study))
        return super().image_path(study)

    def is_volume(self, study: str) -> bool:
        """Whether a study is a volume; otherwise it is a photograph."""
        return self._datastore.objects[study].image.ext.lower() not in PICTURE_SUFFIXES

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
