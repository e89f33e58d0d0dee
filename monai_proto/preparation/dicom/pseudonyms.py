"""The key from pseudonyms to the identifiers of the hospital, kept apart from the prepared data set."""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from monai_proto.data.atomic_write import write_text_atomically
from monai_proto.data.table_file import read_table

__all__ = ["KEY_NAME", "KeyRow", "Pseudonyms", "read_key", "require_apart", "write_key"]

KEY_NAME = "key.csv"


@dataclass(frozen=True)
class KeyRow:
    """One series of the data set: its pseudonyms, and what they stand for."""

    case: str
    patient: str
    issuer_of_patient_id: str
    patient_id: str
    study_instance_uid: str
    series_instance_uid: str


class Pseudonyms:
    """
    Gives patients and series their names: ``patient_0001``, ``patient_0001_ct_01``.

    Args:
        known: rows of an earlier key, whose names are kept.
    """

    def __init__(self, known: Iterable[KeyRow] = ()) -> None:
        rows = list(known)
        self._patients = {
            _identity(row.issuer_of_patient_id, row.patient_id, row.study_instance_uid): row.patient for row in rows
        }
        self._cases = {row.series_instance_uid: row.case for row in rows}
        self._last_patient = max((int(row.patient.rpartition("_")[2]) for row in rows), default=0)
        self._last_case: Counter[str] = Counter()
        for case in self._cases.values():
            stem, _, number = case.rpartition("_")
            self._last_case[stem] = max(self._last_case[stem], int(number))

    def name(self, issuer: str, patient_id: str, study: str, series: str, modality: str) -> KeyRow:
        """
        Args:
            issuer: IssuerOfPatientID.
            patient_id: PatientID; where it is empty, a study counts as a patient.
            study: StudyInstanceUID.
            series: SeriesInstanceUID.
            modality: such as CT.
        """
        identity = _identity(issuer, patient_id, study)
        if identity not in self._patients:
            self._last_patient += 1
            self._patients[identity] = f"patient_{self._last_patient:04d}"
        patient = self._patients[identity]
        if series not in self._cases:
            kind = "".join(letter for letter in modality.lower() if letter.isalnum()) or "image"
            self._last_case[f"{patient}_{kind}"] += 1
            self._cases[series] = f"{patient}_{kind}_{self._last_case[f'{patient}_{kind}']:02d}"
        return KeyRow(self._cases[series], patient, issuer, patient_id, study, series)


def require_apart(key_folder: str | os.PathLike, output: str | os.PathLike) -> None:
    """
    Raises:
        ValueError: when one of the two folders lies in the other, or the key folder holds other things than a key.
    """
    key, data = Path(key_folder).resolve(), Path(output).resolve()
    if key.is_relative_to(data) or data.is_relative_to(key):
        raise ValueError(
            f"The key folder {key_folder} must lie apart from the output {output}, not in it or around it."
        )
    if key.exists() and (not key.is_dir() or (any(key.iterdir()) and not (key / KEY_NAME).is_file())):
        raise ValueError(f"The key folder {key_folder} exists and holds no {KEY_NAME}: name another one.")


def read_key(folder: str | os.PathLike) -> list[KeyRow]:
    """
    Rows of the key in a folder; none where there is no key.

    Raises:
        ValueError: when the file is no key.
    """
    file = Path(folder) / KEY_NAME
    if not file.is_file():
        return []
    table = read_table(file, "Key", strip=False)  # an identifier may begin with a blank
    if table.columns != _columns():
        raise ValueError(f"{file} is no key of prepare_dicom: expected the columns {', '.join(_columns())}.")
    return [KeyRow(**row.cells) for row in table.rows]


def write_key(folder: str | os.PathLike, rows: Iterable[KeyRow]) -> None:
    """Write ``key.csv``; folder and file are readable for their owner alone."""
    folder = Path(folder)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(_columns())
    writer.writerows(astuple(row) for row in rows)
    write_text_atomically(folder / KEY_NAME, stream.getvalue())
    (folder / KEY_NAME).chmod(0o600)


def _columns() -> tuple[str, ...]:
    return tuple(item.name for item in fields(KeyRow))


def _identity(issuer: str, patient_id: str, study: str) -> tuple[str, str]:
    return (issuer, patient_id) if patient_id else ("", study)
