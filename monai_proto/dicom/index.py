"""An index of a DICOM tree in a database file: what each file is, so that an interrupted scan goes on."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import track

from monai_proto.dicom.header import NotDicomError, read_header
from monai_proto.dicom.rtstruct import read_structures
from monai_proto.dicom.seg_reader import read_segments
from monai_proto.dicom.series_folder import walk_files

__all__ = ["DicomIndex", "IndexedFile"]

_COLUMNS = (
    "file, folder, size, changed, kind, problem, series, study, issuer, patient, modality, object, refers_to, names"
)
_SEPARATOR = "\x1f"  # occurs in no UID and in no name


@dataclass(frozen=True)
class IndexedFile:
    """
    What the index knows of a file.

    Args:
        file: path relative to the tree.
        kind: ``image``, ``SEG``, ``RTSTRUCT``, ``other`` (a DICOM object that is none), ``foreign`` (not DICOM) or
            ``unreadable``.
        problem: why it is ``foreign`` or ``unreadable``; empty for the others.
        series: SeriesInstanceUID.
        study: StudyInstanceUID.
        patient: issuer and PatientID.
        modality: such as CT.
        object: kind of object in words.
        refers_to: series that a SEG or an RTSTRUCT belongs to.
        names: its segments or structures.
    """

    file: str
    kind: str
    problem: str = ""
    series: str = ""
    study: str = ""
    patient: tuple[str, str] = ("", "")
    modality: str = ""
    object: str = ""
    refers_to: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


class DicomIndex:
    """
    One row a file; memory does not grow with the tree.

    Args:
        file: database file; one that exists is gone on with.
        root: the tree.
    """

    def __init__(self, file: str | os.PathLike, root: str | os.PathLike) -> None:
        self.root = Path(root)
        self._database = sqlite3.connect(file)
        self._database.execute(f"CREATE TABLE IF NOT EXISTS files ({_COLUMNS}, seen, PRIMARY KEY (file))")
        self._database.execute("CREATE INDEX IF NOT EXISTS by_series ON files (kind, series)")
        self._database.execute("CREATE INDEX IF NOT EXISTS by_folder ON files (kind, folder)")

    def scan(self, console: Console | None = None) -> None:
        """
        Read the header of every file that is new or has changed since the last scan; forget those that are gone.

        Args:
            console: where a progress bar is shown; None for nowhere.
        """
        self._database.execute("UPDATE files SET seen = 0")
        files = track(walk_files(self.root), "Reading headers", console=console, disable=console is None)
        for count, (path, problem) in enumerate(files, start=1):
            self._add(path, problem)
            if count % 500 == 0:
                self._database.commit()
        self._database.execute("DELETE FROM files WHERE seen = 0")
        self._database.commit()

    def series(self) -> list[str]:
        """SeriesInstanceUIDs of images, sorted by patient, study and UID, which does not depend on file names."""
        query = "SELECT series, min(issuer), min(patient), min(study) FROM files WHERE kind = 'image' GROUP BY series"
        return [row[0] for row in sorted(self._database.execute(query), key=lambda row: (*row[1:], row[0]))]

    def images(self, series: str) -> list[IndexedFile]:
        """The image objects of a series, sorted by file."""
        return list(self._select("kind = 'image' AND series = ?", series))

    def first_image(self, series: str) -> IndexedFile:
        """One image object of a series."""
        return next(self._select("kind = 'image' AND series = ?", series))

    def num_images_in(self, folder: str) -> int:
        """Number of image objects that lie in a folder, relative to the tree; those in its sub-folders do not count."""
        query = "SELECT count(*) FROM files WHERE kind = 'image' AND folder = ?"
        return self._database.execute(query, (folder,)).fetchone()[0]

    def of_kind(self, *kinds: str) -> Iterator[IndexedFile]:
        """Files of some kinds, sorted by file."""
        return self._select(f"kind IN ({', '.join('?' * len(kinds))})", *kinds)

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def _select(self, where: str, *values: str) -> Iterator[IndexedFile]:
        query = f"SELECT {_COLUMNS} FROM files WHERE {where} ORDER BY file"
        for row in self._database.execute(query, values):
            file, _, _, _, kind, problem, series, study, issuer, patient, modality, name, refers_to, names = row
            yield IndexedFile(
                file, kind, problem, series, study, (issuer, patient), modality, name, _split(refers_to), _split(names)
            )

    def _add(self, path: Path, problem: str | None) -> None:
        file = os.path.relpath(path, self.root)
        status = None
        if not file.isprintable() or not file.isascii():  # surrogates stand for bytes that are no text
            try:
                file.encode("utf-8")
            except UnicodeEncodeError:
                file, problem = file.encode("utf-8", "backslashreplace").decode(), "file name is no text"
        if not problem:
            try:
                status = path.stat()
            except OSError as error:
                problem = f"cannot be read: {error.strerror}"
        size, changed = (status.st_size, status.st_mtime_ns) if status else (0, 0)
        query = "UPDATE files SET seen = 1 WHERE file = ? AND size = ? AND changed = ?"
        if not problem and self._database.execute(query, (file, size, changed)).rowcount:
            return
        found = IndexedFile(file, "unreadable", problem) if problem else _look_into(path, file)
        row = (
            *(
                file,
                os.path.dirname(file),
                size,
                changed,
                found.kind,
                found.problem,
                found.series,
                found.study,
                *found.patient,
            ),
            *(found.modality, found.object, _SEPARATOR.join(found.refers_to), _SEPARATOR.join(found.names), 1),
        )
        self._database.execute(f"INSERT OR REPLACE INTO files VALUES ({', '.join('?' * len(row))})", row)


def _look_into(path: Path, file: str) -> IndexedFile:
    try:
        header = read_header(path)
    except NotDicomError as error:
        return IndexedFile(file, "foreign", str(error))
    except ValueError as error:
        return IndexedFile(file, "unreadable", str(error))
    refers_to: Iterable[str] = ()
    names: Iterable[str] = ()
    try:
        if header.kind == "SEG":
            refers_to, labels = read_segments(path)
            names = labels.values()
        elif header.kind == "RTSTRUCT":
            refers_to, names = read_structures(path)
    except Exception as error:  # a damaged object leads to any exception
        return IndexedFile(file, "unreadable", f"damaged {header.kind} ({type(error).__name__}: {error})")
    return IndexedFile(
        *(file, header.kind, "", header.series_uid, header.study_uid, header.patient, header.modality),
        *(header.object_name, tuple(refers_to), tuple(names)),
    )


def _split(text: str) -> tuple[str, ...]:
    return tuple(text.split(_SEPARATOR)) if text else ()
