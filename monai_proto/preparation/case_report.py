"""What a preparation script did with every case: included where, or left out and why."""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Literal, TypeVar

from monai_proto.data.atomic_write import write_text_atomically
from monai_proto.data.case import Case

__all__ = ["CaseRecord", "CaseReport", "report_cases"]

_COLUMNS = ("case", "status", "split", "files", "reasons")


@dataclass(frozen=True)
class CaseRecord:
    """
    One row of the report.

    Args:
        case: name of the case.
        status: ``"included"`` or ``"excluded"``.
        split: part of the data list that holds the case; empty when excluded.
        files: files of the case.
        reasons: why it was left out; for an included case what is worth knowing about it.
    """

    case: str
    status: Literal["included", "excluded"]
    split: str = ""
    files: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()


class CaseReport:
    """
    Collects one row per case and remarks on the whole, and writes them as a table and as readable text.

    Args:
        title: first line of the summary, for instance the data set's name.

    Example::

        report = CaseReport("Hippocampus")
        report.include("case_1", split="training", files=["imagesTr/case_1.nii.gz"])
        report.exclude("case_2", files=["labelsTr/case_2.nii.gz"], reasons=["label without image"])
        report.write("/data/prepared")
    """

    def __init__(self, title: str) -> None:
        self.title = title
        self.records: list[CaseRecord] = []
        self.remarks: list[str] = []

    def include(self, case: str, split: str, files: Iterable[str] = (), notes: Iterable[str] = ()) -> None:
        """Add a case that the data list holds in ``split``; ``notes`` are what its user should know."""
        self.records.append(CaseRecord(case, "included", split, tuple(files), tuple(notes)))

    def exclude(self, case: str, files: Iterable[str], reasons: Iterable[str]) -> None:
        """
        Add a case that was left out.

        Raises:
            ValueError: when ``reasons`` is empty: nothing is left out without saying why.
        """
        reasons = tuple(reasons)
        if not reasons:
            raise ValueError(f"reasons of excluded case {case} must name at least one reason, got none.")
        self.records.append(CaseRecord(case, "excluded", "", tuple(files), reasons))

    def remark(self, text: str) -> None:
        """Add a line on the data set as a whole, for instance how many side files were ignored."""
        self.remarks.append(text)

    @property
    def included(self) -> list[CaseRecord]:
        """Rows of the cases that the data list holds, in the order they were added."""
        return [record for record in self.records if record.status == "included"]

    @property
    def excluded(self) -> list[CaseRecord]:
        """Rows of the cases that were left out, in the order they were added."""
        return [record for record in self.records if record.status == "excluded"]

    def split_counts(self) -> dict[str, int]:
        """Number of included cases in each split, in the order the splits first appear."""
        return dict(Counter(record.split for record in self.included))

    def summary(self) -> str:
        """Counts per split, remarks, every excluded case with its reasons, every included one that has a note."""
        noted = [record for record in self.included if record.reasons]
        counts = self.split_counts()
        width = max(map(len, counts), default=0)
        sections = [
            [f"{self.title}: {len(self.included)} cases included, {len(self.excluded)} excluded"],
            [f"  {split:<{width}} {count:>6}" for split, count in counts.items()],
            _section("Remarks", self.remarks),
            _section("Excluded", map(_case_line, self.excluded)),
            _section("Included, with a note", map(_case_line, noted)),
        ]
        return "\n\n".join("\n".join(lines) for lines in sections if lines) + "\n"

    def table(self) -> str:
        """The rows as CSV text with the columns case, status, split, files, reasons; several of one cell joined by ;"""
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for record in self.records:
            writer.writerow(
                [record.case, record.status, record.split, "; ".join(record.files), "; ".join(record.reasons)]
            )
        return stream.getvalue()

    def write(self, folder: str | os.PathLike) -> None:
        """Write ``report.csv`` and ``summary.txt`` into an existing folder, each whole or not at all."""
        write_text_atomically(Path(folder) / "report.csv", self.table())
        write_text_atomically(Path(folder) / "summary.txt", self.summary())


AnyCase = TypeVar("AnyCase", bound=Case)


def report_cases(
    title: str,
    parts: Mapping[str, Iterable[AnyCase]],
    cases: Iterable[AnyCase],
    remarks: Iterable[str] = (),
    files_of: Callable[[AnyCase], Iterable[str]] = attrgetter("files"),
) -> CaseReport:
    """
    What became of every case: part by part, then those that were left out.

    Args:
        title: see :class:`CaseReport`.
        parts: the cases of each part of the split.
        cases: all cases; those with problems were left out.
        remarks: lines on the data set as a whole.
        files_of: which files the report names; by default those that the case has.
    """
    report = CaseReport(title)
    for part, members in parts.items():
        for case in members:
            report.include(case.case, part, files_of(case), case.notes)
    for case in cases:
        if case.problems:
            report.exclude(case.case, files_of(case), case.why_left_out)
    for remark in remarks:
        report.remark(remark)
    return report


def _section(heading: str, lines: Iterable[str]) -> list[str]:
    lines = list(lines)
    return [f"{heading} ({len(lines)})", *(f"  - {line}" for line in lines)] if lines else []


def _case_line(record: CaseRecord) -> str:
    return f"{record.case}: {'; '.join(record.reasons)}"
