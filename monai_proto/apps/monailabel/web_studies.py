"""The studies of a DICOMweb server, which is what the OHIF viewer shows."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from typing import Any

import numpy as np
import requests
from cachetools import TTLCache, cachedmethod
from dicomweb_client import DICOMwebClient
from dicomweb_client.session_utils import create_session_from_user_pass
from filelock import FileLock
from monai.transforms import LoadImage
from monailabel.config import settings
from monailabel.datastore.dicom import DICOMwebClientX, DICOMWebDatastore
from monailabel.datastore.local import LocalDatastore
from monailabel.interfaces.datastore import DefaultLabelTag
from monailabel.utils.others.generic import md5_digest
from pydicom import Dataset, dcmread

from monai_proto.apps.monailabel.checked_labels import CheckedLabels
from monai_proto.apps.monailabel.label_classes import LabelClasses
from monai_proto.apps.monailabel.refusals import refuse
from monai_proto.data.atomic_write import new_folder_atomically
from monai_proto.data.nifti import write_nifti
from monai_proto.dicom.pixels import read_pixels
from monai_proto.dicom.seg_reader import read_segmentation, read_segments
from monai_proto.dicom.seg_writer import Algorithm, write_segmentation
from monai_proto.dicom.segments import Segment
from monai_proto.dicom.series_folder import open_series

__all__ = ["WebStudies", "require_dicomweb", "web_client"]

_MODALITIES = ("CT", "MR", "PT")
_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_FINAL = DefaultLabelTag.FINAL.value
_LISTED_FOR = 2  # seconds; a training asks for every label, one by one
_TIMEOUT = 20
_MANUAL = Algorithm("MONAI Label", "0.8.5", "Label", type="MANUAL")


def web_client(address: str) -> DICOMwebClient:
    """A client with the log-in and prefixes of MONAI Label's settings (``MONAI_LABEL_DICOMWEB_USERNAME`` and so on)."""
    user, password = settings.MONAI_LABEL_DICOMWEB_USERNAME, settings.MONAI_LABEL_DICOMWEB_PASSWORD
    return DICOMwebClientX(
        url=address.rstrip("/"),
        session=create_session_from_user_pass(user, password) if user and password else None,
        qido_url_prefix=settings.MONAI_LABEL_QIDO_PREFIX,
        wado_url_prefix=settings.MONAI_LABEL_WADO_PREFIX,
        stow_url_prefix=settings.MONAI_LABEL_STOW_PREFIX,
    )


def require_dicomweb(address: str) -> None:
    """
    Raises:
        ValueError: when no DICOMweb server answers at the address.
    """
    user, password = settings.MONAI_LABEL_DICOMWEB_USERNAME, settings.MONAI_LABEL_DICOMWEB_PASSWORD
    prefix = f"/{settings.MONAI_LABEL_QIDO_PREFIX}" if settings.MONAI_LABEL_QIDO_PREFIX else ""
    url = f"{address.rstrip('/')}{prefix}/series"
    try:
        answer = requests.get(
            url,
            params={"limit": "1"},
            headers={"Accept": "application/dicom+json"},
            auth=(user, password) if user and password else None,
            timeout=_TIMEOUT,
        )
        answer.raise_for_status()
        found = [] if answer.status_code == 204 else answer.json()
    except requests.JSONDecodeError as error:
        raise ValueError(f"Studies {address} is no DICOMweb server: {url} answers with something else.") from error
    except requests.RequestException as error:
        raise ValueError(f"Studies {address}: no DICOMweb server answers there: {error}") from error
    is_dicom = "dicom+json" in answer.headers.get("content-type", "") or answer.status_code == 204
    if not isinstance(found, list) or not (all(isinstance(item, dict) for item in found) if found else is_dicom):
        raise ValueError(f"Studies {address} is no DICOMweb server: {url} answers with something else.")


@dataclass(frozen=True)
class _Label:
    """A SEG of the server, and the series that it refers to."""

    study_uid: str
    series_uid: str
    image: str
    written: str


class WebStudies(CheckedLabels, DICOMWebDatastore):
    """
    :class:`CheckedLabels` of the CT, MR and PET series of a DICOMweb server, named by their SeriesInstanceUID. A series
    is fetched and converted to NIfTI when it is first asked for. Final labels live on the server, as SEG: the newest
    one that refers to the series counts, whoever wrote it. Other labels and boxes stay in the workspace.

    Args:
        client: of the server.
        workspace: the app's folder.
        classes: of the app's models, to name the segments.

    Attributes:
        left_out: SEG series -> why it is no label.
    """

    def __init__(self, client: DICOMwebClient, workspace: Path, classes: LabelClasses) -> None:
        self._client = client
        self._classes = classes
        self._labels: dict[str, _Label] = {}
        self._listings: TTLCache = TTLCache(8, _LISTED_FOR)
        self._listing = RLock()
        self.left_out = {}
        folder = workspace / "dicomweb" / md5_digest(client.base_url)
        # not DICOMWebDatastore's: that watches the folder, and adds files while they are written
        LocalDatastore.__init__(self, str(folder), auto_reload=False)
        self._fetching = FileLock(folder / ".fetching")

    # studies

    @cachedmethod(lambda self: self._listings, lock=lambda self: self._listing)
    def _listed(self, modality: str) -> list[Dataset]:
        found = self._client.search_for_series(search_filters={"Modality": modality})
        return [Dataset.from_json(item) for item in found]

    def list_images(self) -> list[str]:
        """Series of images."""
        return [str(series.SeriesInstanceUID) for modality in _MODALITIES for series in self._listed(modality)]

    def is_volume(self, study: str) -> bool:
        """True: photographs are none of the modalities."""
        return True

    def image_path(self, study: str) -> str:
        """
        The series as a NIfTI file; empty where the server has no such series.

        Raises:
            ValueError: when the series makes up no volume.
        """
        if not _UID.fullmatch(study) or len(study) > 64:
            return ""
        file = Path(self._datastore_path) / f"{study}.nii.gz"
        if file.is_file() and study in self._datastore.objects:
            return str(file.resolve())
        with self._fetching:
            if not file.is_file():
                if not self._fetch(study):
                    return ""
                series = open_series(self._source(study))
                with tempfile.TemporaryDirectory(dir=self._datastore_path) as folder:
                    write_nifti(Path(folder) / file.name, read_pixels(series), series.affine)
                    os.replace(Path(folder) / file.name, file)
            self.refresh()
            LocalDatastore.update_image_info(self, study, self._dicom_info(study))
        return str(file.resolve())

    def _source(self, study: str) -> Path:
        return Path(self._datastore_path) / "series" / study

    def _fetch(self, study: str) -> bool:
        """Whether there is such a series; its files are in :meth:`_source` then."""
        if self._source(study).is_dir():
            return True
        found = self._client.search_for_series(search_filters={"SeriesInstanceUID": study})
        studies = [s["0020000D"]["Value"][0] for s in found if s["0020000E"]["Value"] == [study]]
        if not studies:
            return False
        self._source(study).parent.mkdir(exist_ok=True)
        instances = self._client.retrieve_series(studies[0], study)
        with new_folder_atomically(self._source(study)) as folder:
            for index, instance in enumerate(instances):
                instance.save_as(folder / f"{index:05d}.dcm", enforce_file_format=True)
        return True

    def add_image(self, image_id: str, image_filename: str, image_info: dict[str, Any]) -> str:
        """
        Raises:
            HTTPException: 409, always.
        """
        refuse(409, "Send images to the DICOMweb server itself.")

    def remove_image(self, image_id: str) -> None:
        """
        Raises:
            HTTPException: 409, always.
        """
        refuse(409, "Images are removed on the DICOMweb server itself.")

    def _require_study(self, image_id: str) -> None:
        if not self.get_image_uri(image_id):
            refuse(404, f"There is no series {image_id!r}.")

    # labels

    def get_labeled_images(self, label_tag: str | None = None, labels: list[str] | None = None) -> list[str]:
        """Series that a SEG refers to."""
        labelled = self._newest_labels()
        return [study for study in self.list_images() if study in labelled]

    def get_unlabeled_images(self, label_tag: str | None = None, labels: list[str] | None = None) -> list[str]:
        """Series that no SEG refers to."""
        labelled = self._newest_labels()
        return [study for study in self.list_images() if study not in labelled]

    def _newest_labels(self) -> dict[str, _Label]:
        """Series -> its newest SEG."""
        newest: dict[str, _Label] = {}
        for item in self._listed("SEG"):
            label = self._label(str(item.StudyInstanceUID), str(item.SeriesInstanceUID))
            before = newest.get(label.image)
            if label.image and (before is None or before.written <= label.written):
                newest[label.image] = label
        return newest

    def _label(self, study_uid: str, series_uid: str) -> _Label:
        """A SEG does not change: it is looked at once."""
        if series_uid not in self._labels:
            header = Dataset.from_json(self._client.retrieve_series_metadata(study_uid, series_uid)[0])
            source = (header.get("ReferencedSeriesSequence") or [Dataset()])[0]
            written = f"{header.get('ContentDate', '')}{header.get('ContentTime', '')}"
            image = str(source.get("SeriesInstanceUID", ""))
            if not image:
                self.left_out[series_uid] = "is a SEG that refers to no series"
            self._labels[series_uid] = _Label(study_uid, series_uid, image, written)
        return self._labels[series_uid]

    def label_path(self, study: str) -> str:
        """
        The newest SEG of the series as NIfTI on its grid, with the models' values; empty where there is none.

        Raises:
            ValueError: when the SEG does not lie on the series.
        """
        label = self._newest_labels().get(study)
        if label is None or not self.image_path(study):
            return ""
        with self._fetching:
            known = LocalDatastore.get_label_uri(self, study, _FINAL)
            if known and self.get_label_info(study, _FINAL).get("SeriesInstanceUID") == label.series_uid:
                return known
            instances = self._client.retrieve_series(label.study_uid, label.series_uid)
            with tempfile.TemporaryDirectory(dir=self._datastore_path) as folder:
                seg, file = Path(folder) / "seg.dcm", Path(folder) / f"{study}.nii.gz"
                instances[-1].save_as(seg, enforce_file_format=True)
                series, values = open_series(self._source(study)), self._classes.values(read_segments(seg)[1])
                try:
                    mask, notes = read_segmentation(seg, series, values)
                except ValueError as error:
                    raise ValueError(f"Label of {study}: SEG series {label.series_uid} {error}.") from error
                write_nifti(file, mask, series.affine)
                info = {"SeriesInstanceUID": label.series_uid, "segments": values, "notes": notes}
                LocalDatastore.save_label(self, study, str(file), _FINAL, info)
            return LocalDatastore.get_label_uri(self, study, _FINAL)

    def get_label_uri(self, label_id: str, label_tag: str, image_id: str = "") -> str:
        """File of a label; of a final one see :meth:`label_path`."""
        if str(getattr(label_tag, "value", label_tag)) == _FINAL:
            return self.label_path(image_id or label_id)
        return LocalDatastore.get_label_uri(self, label_id, label_tag)

    def _store_label(self, image_id: str, file: str, tag: str, info: dict[str, Any]) -> str:
        if tag != _FINAL:
            return super()._store_label(image_id, file, tag, info)
        segments = self._classes.segments(_read_label(file), info.get("label_info") or ())
        with tempfile.TemporaryDirectory(dir=self._datastore_path) as folder:
            seg = self.write_seg(image_id, file, segments, _MANUAL, Path(folder) / "seg.dcm")
            answer = self._client.store_instances([dcmread(seg)])
        if answer.get("FailedSOPSequence"):
            raise RuntimeError(f"The DICOMweb server did not take the label: {answer.FailedSOPSequence[0]}")
        with self._listing:
            self._listings.clear()
        self.label_path(image_id)
        return image_id

    def write_seg(
        self, study: str, label: str, segments: Sequence[Segment], algorithm: Algorithm, file: str | os.PathLike
    ) -> Path:
        """
        Write a label map on a series' grid as SEG.

        Raises:
            ValueError: when the label is not on the series' grid, or has a value that no segment has.
        """
        self._require_study(study)
        return write_segmentation(file, _read_label(label), open_series(self._source(study)), segments, algorithm)

    def remove_label(self, label_id: str, label_tag: str) -> None:
        """
        Raises:
            HTTPException: 409 for a final label, 404 when there is no such label.
        """
        if label_tag == _FINAL:
            refuse(409, "Final labels are SEG of the DICOMweb server; they are removed there.")
        super().remove_label(label_id, label_tag)


def _read_label(file: str) -> np.ndarray:
    """Integers (columns, rows, slices)."""
    label = np.asarray(LoadImage(image_only=True)(file))
    return label.reshape(label.shape[:3]).astype(np.int64)
