"""From a DICOM tree to a prepared data set: the steps, in their order."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Mapping
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track

from monai_proto.data.atomic_write import new_folder_atomically, require_new_folder
from monai_proto.data.case import CopyDropper
from monai_proto.dicom.header import require_tags
from monai_proto.dicom.index import DicomIndex
from monai_proto.preparation.case_report import CaseReport
from monai_proto.preparation.dicom.case import SeriesCase, series_case
from monai_proto.preparation.dicom.checks import SeriesJob, convert_series
from monai_proto.preparation.dicom.left_out import LeftOutList
from monai_proto.preparation.dicom.output import report_series, write_dicom_dataset
from monai_proto.preparation.dicom.pseudonyms import KeyRow, read_key, require_apart, write_key
from monai_proto.preparation.dicom.source import DicomOptions, describe_files, labels_by_series, series_jobs
from monai_proto.preparation.dicom.workers import run_jobs
from monai_proto.preparation.prepared import Prepared
from monai_proto.preparation.volumes.division import VolumeDivision, divide_cases

__all__ = ["DicomPreparation", "prepare_dicom"]

_INDEX = "index.sqlite"


def prepare_dicom(
    source: Path,
    output: Path,
    key: Path,
    options: DicomOptions,
    division_options: Mapping[str, Any],
    workers: int = 1,
    console: Console | None = None,
) -> Prepared:
    """
    Scan, convert, divide and write.

    Args:
        source: the tree.
        output: new folder.
        key: folder for the key, apart from ``output``; one from an earlier run is gone on with.
        options: what is taken over.
        division_options: of :func:`divide_cases`.
        workers: number of processes.
        console: where progress bars are shown; None for nowhere.

    Raises:
        ValueError: when an option does not fit, or a folder lies in another or is not free.
        OSError: when something cannot be written or a process dies; the same call goes on where this one stopped.
    """
    if not source.is_dir():
        raise ValueError(f"--source {source} is not a folder.")
    if output.resolve().is_relative_to(source.resolve()) or key.resolve().is_relative_to(source.resolve()):
        raise ValueError(f"--output {output} and --key {key} must not lie in --source {source}.")
    require_new_folder(output)
    require_apart(key, output)
    require_tags(options.keep_tags)
    work = output.absolute().with_name(f".{output.absolute().name}.work")
    preparation = DicomPreparation(source.resolve(), work, options, key, console)
    try:
        preparation.convert(workers)
    except BrokenProcessPool as error:
        raise OSError("a worker died, perhaps for lack of memory: try again with fewer --workers") from error
    preparation.divide(**division_options)
    title = output.absolute().name
    report = preparation.report(title, with_files=True)
    if not preparation.usable:
        return Prepared(report, lacking="no usable series")
    preparation.write(output, title)
    overrides = {"num_labelled": preparation.division.num_labelled}
    return Prepared(report, output, also_written=f". Key: {key}", overrides=overrides)


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
        self.division = VolumeDivision[SeriesCase]()
        self.remarks: list[str] = []
        self.series: list[SeriesCase] = []
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
        self.series.sort(key=lambda case: case.case)
        self._mark_duplicates()

    def divide(self, **options: Any) -> None:
        """
        Divide the usable series by patient; ``options`` are those of :func:`divide_cases`.

        Raises:
            ValueError: when they do not fit.
        """
        usable = [case for case in self.series if not case.problems]
        self.division = divide_cases(usable, **options)
        self.remarks.append(self.division.describe())
        if usable and not self.division.num_labelled:
            self.remarks.append("no labels: every case is unlabelled")
        nameless = {case.patient for case in self.series if not case.row.patient_id}
        if nameless:
            self.remarks.append(f"no PatientID, each study taken as a patient of its own: {len(nameless)}")
        modalities = {case.modality or "unknown" for case in usable}
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
        labelled = [case for case in self.series if case.label and not case.problems]
        return sorted({name for case in labelled for name in case.converted.label_names})

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
                self.series.append(series_case(row, files, converted, modality))
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
        copies = CopyDropper[SeriesCase](
            lambda case: case.image, lambda _, first: f"duplicate: the same voxels as {first.case}"
        )
        for case in sorted(self.series, key=lambda case: case.label is None):
            if not case.problems:
                copies.drop(case, case.converted.image_hash)

    def _write_key(self, title: str) -> None:
        rows = {row.series_instance_uid: row for row in [*self._known, *(case.row for case in self.series)]}
        write_key(self.key_folder, rows.values())
        self.report(title, with_files=True).write(self.key_folder)
        for name in ("report.csv", "summary.txt"):
            (self.key_folder / name).chmod(0o600)
