"""Collects what a DICOM preparation leaves out, under names that tell nothing of the original files."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from monai_proto.dicom.index import DicomIndex
from monai_proto.preparation.dicom.labels import LabelSource

__all__ = ["LeftOut", "LeftOutList"]


@dataclass(frozen=True)
class LeftOut:
    """
    Something that was left out.

    Args:
        name: what a report without file names calls it.
        files: its files, relative to the tree.
        reasons: why.
        public_reasons: what a report without file names says instead; None for the same.
    """

    name: str
    files: tuple[str, ...]
    reasons: tuple[str, ...]
    public_reasons: tuple[str, ...] | None = None

    @property
    def place(self) -> str:
        """The file, or the folder of several."""
        return self.files[0] if len(self.files) == 1 else f"{os.path.dirname(self.files[0]) or '.'}/"


class LeftOutList:
    """What was left out, in the order it was found; iterate ``entries``."""

    def __init__(self) -> None:
        self.entries: list[LeftOut] = []
        self._numbers: Counter[str] = Counter()

    def add(self, name: str, files: Sequence[str], reason: str) -> None:
        """Add something that has a name already."""
        self.entries.append(LeftOut(name, tuple(files), (reason,)))

    def add_label(self, source: LabelSource, reason: str) -> None:
        """Add a SEG or an RTSTRUCT."""
        self.add(self._new_name(source.kind), [source.file], f"{source.kind}: {reason}")

    def add_copies(self, case: str, files: Sequence[str]) -> None:
        """Add files that hold an instance of a series a second time."""
        for file in files:
            self.add(self._new_name("copy"), [file], f"copy of another file of {case}")

    def add_other_files(self, index: DicomIndex) -> None:
        """
        Add everything that is no image, SEG or RTSTRUCT: one entry a folder and kind, so that a folder of ten thousand
        text files does not hide everything else. What cannot be read gets an entry a file, since its reason may matter.
        """
        groups: dict[tuple[str, str, str], list[str]] = defaultdict(list)
        for found in index.of_kind("other", "foreign"):
            kind = found.object if found.kind == "other" else ""
            groups[os.path.dirname(found.file), kind, found.problem].append(found.file)
        for (_, kind, problem), files in sorted(groups.items()):
            count = f"{len(files)} file{'s' * (len(files) != 1)} in one folder"
            self.add(self._new_name("other"), files, f"{f'no image: {kind}' if kind else problem} ({count})")
        for found in index.of_kind("unreadable"):
            public = ("cannot be read (the report in the key folder says more)",)
            self.entries.append(LeftOut(self._new_name("unreadable"), (found.file,), (found.problem,), public))

    def _new_name(self, kind: str) -> str:
        self._numbers[kind] += 1
        return f"{kind.lower()}_{self._numbers[kind]:04d}"
