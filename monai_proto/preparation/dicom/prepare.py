"""From a DICOM tree to a prepared data set: the steps, in their order."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track

from monai_proto.data.atomic_write import new_folder_atomically
from monai_proto.dicom.index import DicomIndex
from monai_proto.preparation.case_report import CaseReport
from monai_proto.preparation.dicom.checks import SeriesJob, convert_series
from monai_proto.preparation.dicom.left_out import LeftOutList
from monai_proto.preparation.dicom.output import PreparedSeries, report_series, write_dicom_dataset
from monai_proto.preparation.dicom.pseudonyms import KeyRow, read_key, write_key
from monai_proto.preparation.dicom.source import DicomOptions, describe_files, labels_by_series, series_jobs
from monai_proto.preparation.dicom.workers import run_jobs
from monai_proto.preparation.volumes.division import VolumeDivision, divide_cases

__all__ = ["DicomPreparation"]

_INDEX = "index.sqlite"


class DicomPreparation:
    """
    The steps of a preparation, in the order of its methods.

    Args:
        root: the tree.
        work: folder for what an interrupted run goes on with; removed by :meth:`write`.
        options: what is taken over.
        key_folder: where the key is kept; the names in it are kept, too.
        console: where progress bars are shown; None for nowhere.
    """

    def __init__(
        self,
        root: str | os.PathLike,
        work: str | os.PathLike,
        options: DicomOptions,
        key_folder: str | os.PathLike,
        console: Console | None = None,
    ) -> None:
        self.root, self.work, self.key_folder = Path(root), Path(work), Path(key_folder)
        self.options, self.console = options, console
        self.division = VolumeDivision()
        self.remarks: list[str] = []
        self.series: list[PreparedSeries] = []
        self.left = LeftOutList()
        self._known = read_key(self.key_folder)

    def convert(self, workers: int = 1) -> None:
        """
        Scan the tree and convert its series.

        Args:
            workers: number of processes.

        Raises:
            OSError: when a result cannot be written; the work folder stays, and the same call goes on there.
        """
        self.work.mkdir(parents=True, exist_ok=True)
        try:
            self._convert(workers)
        except sqlite3.Error as error:  # a full disk among others
            raise OSError(f"{self.work / _INDEX}: {error} (should it stay so, remove {self.work})") from error
        self.series.sort(key=lambda item: item.row.case)
        self._mark_duplicates()

    def divide(self, **options: Any) -> None:
        """
        Divide the usable series by patient; ``options`` are those of :func:`divide_cases`.

        Raises:
            ValueError: when they do not fit.
        """
        usable = [item for item in self.series if not item.case.problems]
        self.division = divide_cases([item.case for item in usable], **options)
        self.remarks.append(self.division.describe())
        if usable and not self.division.num_labelled:
            self.remarks.append("no labels: every case is unlabelled")
        nameless = {item.row.patient for item in self.series if not item.row.patient_id}
        if nameless:
            self.remarks.append(f"no PatientID, each study taken as a patient of its own: {len(nameless)}")
        modalities = {item.modality or "unknown" for item in usable}
        if len(modalities) > 1:
            named = ", ".join(sorted(modalities))
            self.remarks.append(f"several modalities in one list ({named}): --modality takes one")

    @property
    def usable(self) -> int:
        """Number of series that the data list holds."""
        return sum(map(len, self.division.parts().values()))

    @property
    def label_names(self) -> list[str]:
        """Structures in the order of the label values 1, 2, ..."""
        if self.options.label_names:
            return list(self.options.label_names)
        labelled = [item for item in self.series if item.case.label and not item.case.problems]
        return sorted({name for item in labelled for name in item.converted.label_names})

    def report(self, title: str, with_files: bool) -> CaseReport:
        """
        Args:
            title: first line of the summary.
            with_files: True names the files of the tree, whose names may tell who the patients are; for the key folder.
        """
        return report_series(title, self.series, self.division, self.left.entries, self.remarks, with_files)

    def write(self, output: str | os.PathLike, title: str) -> None:
        """
        Write the data set, then the key, and remove the work folder.

        Args:
            output: new folder, which appears when it is complete.
            title: name of the data set.

        Raises:
            OSError: when something cannot be written; the work folder stays, and another run goes on there.
        """
        with new_folder_atomically(output) as target:
            write_dicom_dataset(target, title, self.series, self.division, self.label_names, self.work, self.console)
            self.report(title, with_files=False).write(target)
            self._write_key(title)
        shutil.rmtree(self.work, ignore_errors=True)

    def _convert(self, workers: int) -> None:
        index = DicomIndex(self.work / _INDEX, self.root)
        try:
            index.scan(self.console)
            self.left.add_other_files(index)
            labels = labels_by_series(index, self.left)
            jobs = series_jobs(index, labels, self._known, self.work, self.options, self.left)
            # a job is its own key: what the report needs of it lives no longer than it is being worked on
            done = run_jobs(convert_series, (((row, job), job) for row, job in jobs), workers)
            total, silent = len(index.series()), self.console is None
            for (row, job), converted in track(done, "Converting series", total, console=self.console, disable=silent):
                modality = index.first_image(row.series_instance_uid).modality
                files = describe_files(job.images, index)
                self.series.append(PreparedSeries(row, files, converted, modality))
                self._leave_out_parts(row, job)
        finally:
            index.close()

    def _leave_out_parts(self, row: KeyRow, job: SeriesJob) -> None:
        converted = self.series[-1].converted
        self.left.add_copies(row.case, converted.copies)
        for source in job.labels:
            reason = converted.label_problems.get(source.file)
            if reason or converted.problems:
                self.left.add_label(source, reason or "its series was left out")

    def _mark_duplicates(self) -> None:
        first: dict[str, PreparedSeries] = {}
        for item in sorted(self.series, key=lambda item: item.case.label is None):
            if not item.case.problems and item.converted.image_hash:
                other = first.setdefault(item.converted.image_hash, item)
                if other is not item:
                    item.case.problems.append(f"duplicate: the same voxels as {other.row.case}")

    def _write_key(self, title: str) -> None:
        rows = {row.series_instance_uid: row for row in [*self._known, *(item.row for item in self.series)]}
        write_key(self.key_folder, rows.values())
        self.report(title, with_files=True).write(self.key_folder)
        for name in ("report.csv", "summary.txt"):
            (self.key_folder / name).chmod(0o600)
