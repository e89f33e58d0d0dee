"""Finds the images of a dermoscopy data set with labels, lesions and masks, and its classes, however it is laid out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from monai_proto.preparation.isic.case import IsicCase, IsicLayout, IsicSource
from monai_proto.preparation.isic.files import IsicFiles, find_isic_files, read_class_folders
from monai_proto.preparation.isic.tables import IsicRow, IsicTable, read_isic_table, table_kind
from monai_proto.preparation.split_words import SPLIT_WORDS

__all__ = ["assign_classes", "scan_isic_source"]

_HAM10000_CLASSES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")


def scan_isic_source(
    root: Path,
    layout: IsicLayout | None = None,
    metadata: Sequence[Path] = (),
    classes: Sequence[str] | None = None,
) -> IsicSource:
    """
    Bring images and what tables or folders say about them together.

    - ``ham10000``: tables with image_id, dx, and where they have them lesion_id and split;
    - ``isic``: ground truth with a column for each class; lesions from a table with image and lesion_id;
    - ``folders``: a folder for each class, see :func:`monai_proto.preparation.isic.files.read_class_folders`.

    Where several tables of labels have training, validation or test in their names, as those of ISIC 2018, that is the
    split; a column split goes before.

    Args:
        root: the folder.
        layout: one of the above; None goes by the tables there are.
        metadata: tables to read; by default all of a known kind in ``root``.
        classes: names of the classes in the order of their labels; None for those that occur.

    Raises:
        ValueError: when the folder or a table does not exist, a table cannot be read, the layout cannot be told or
            its table is missing, or there are fewer than two classes.
    """
    files = find_isic_files(root)
    remarks = list(files.remarks)
    tables = _read_tables(root, files, metadata, remarks)
    layout = layout or _detect_layout(tables)
    if layout == "folders":
        cases, declared = read_class_folders(files)
    else:
        labelled = [table for table in tables if table.kind == layout]
        if not labelled:
            columns = "image_id and dx" if layout == "ham10000" else "image and one for each class"
            raise ValueError(f"--layout {layout} needs a table with the columns {columns}: give it with --metadata.")
        cases = _cases_of_tables(labelled, files)
        declared = list(dict.fromkeys(name for table in labelled for name in table.classes))
    _add_lesions(cases, [table for table in tables if table.kind == "lesions"])
    unused = [table.file.name for table in tables if table.kind not in (layout, "lesions")]
    if unused:
        remarks.append(f"tables not used for the layout {layout}: {', '.join(unused)}")
    without_image = len(set(files.masks.values()) - {case.mask for case in cases if case.image})
    if without_image:
        remarks.append(f"masks without image, ignored: {without_image}")
    names, more_remarks = assign_classes(cases, layout, declared, classes)
    return IsicSource(root, layout, names, cases, remarks + more_remarks)


def assign_classes(
    cases: Sequence[IsicCase], layout: IsicLayout, declared: Sequence[str], wanted: Sequence[str] | None
) -> tuple[list[str], list[str]]:
    """
    Give every case the name of its class as the data list has it; one of no class gets a problem.

    Args:
        cases: cases with the labels that the source gives.
        layout: how the source is laid out.
        declared: classes that the source itself declares (columns of a ground truth, names of folders).
        wanted: classes in the order of their labels, matched in any case of letters; None takes those that occur: of
            the seven of HAM10000, or as they are declared.

    Returns:
        the classes, and remarks for the report.

    Raises:
        ValueError: when there are fewer than two classes, or one is named twice.
    """
    remarks = []
    if wanted:
        classes = list(wanted)
    else:
        known = _HAM10000_CLASSES if layout == "ham10000" else declared
        occurring = {case.label.lower() for case in cases if case.label and case.image}
        classes = [name for name in known if name.lower() in occurring]
        absent = [name for name in known if name.lower() not in occurring]
        if absent and layout != "folders":
            remarks.append(f"classes without any image, left out of the labels: {', '.join(absent)}")
    by_name = {name.lower(): name for name in classes}
    if len(by_name) < len(classes):
        raise ValueError(f"--classes names a class twice: {', '.join(classes)}.")
    if len(classes) < 2:
        found = sorted({case.label for case in cases if case.label})
        raise ValueError(
            f"Classification needs two classes at least, got {', '.join(classes) or 'none'}; labels that occur: "
            f"{', '.join(found) or 'none'}. --classes names the ones to use."
        )
    for case in cases:
        label = by_name.get((case.label or "").lower())
        if case.label and not label:
            case.problems.append(f"unknown label {case.label}, expected one of {', '.join(classes)}")
        elif not label and not case.problems:
            case.problems.append("no label")
        case.label = label or case.label
    return classes, remarks


def _read_tables(root: Path, files: IsicFiles, metadata: Sequence[Path], remarks: list[str]) -> list[IsicTable]:
    if metadata:
        return [read_isic_table(file) for file in metadata]
    known = [file for file in files.tables if table_kind(root / file)]
    ignored = [file for file in files.tables if file not in known]
    if ignored:
        remarks.append(f"ignored, as tables of no known kind: {', '.join(ignored)}")
    return [read_isic_table(root / file) for file in known]


def _detect_layout(tables: Iterable[IsicTable]) -> IsicLayout:
    found: dict[IsicLayout, str] = {table.kind: table.file.name for table in tables if table.kind != "lesions"}
    if len(found) > 1:
        names = " and ".join(f"{file} ({kind})" for kind, file in found.items())
        raise ValueError(
            f"Two kinds of tables have labels: {names}. Choose with --layout, or name one with --metadata."
        )
    return next(iter(found), "folders")


def _cases_of_tables(tables: Sequence[IsicTable], files: IsicFiles) -> list[IsicCase]:
    rows: dict[str, list[IsicRow]] = {}
    for table in tables:
        part = _part_in_name(table.file) if len(tables) > 1 else None
        for row in table.rows:
            rows.setdefault(row.image, []).append(replace(row, part=row.part or part))
    images: dict[str, list[str]] = {}
    for file in files.images:
        images.setdefault(PurePosixPath(file).stem, []).append(file)

    cases = []
    for name, of_image in rows.items():
        first, found = of_image[0], images.get(name, [])
        case = IsicCase(name, next(iter(found), None), first.label, first.lesion, files.masks.get(name), first.part)
        if not found:
            case.problems.append("row of the metadata without an image")
        if any(row != first for row in of_image):
            case.problems.append(f"{len(of_image)} rows of the metadata that do not agree")
        if first.problem:
            case.problems.append(first.problem)
        cases.append(case)
    for name, found in images.items():
        if name not in rows:
            problem = "image without a row in the metadata"
            cases.append(IsicCase(name, found[0], mask=files.masks.get(name), problems=[problem]))
        for file in found[1:]:
            cases.append(IsicCase(name, file, problems=[f"a second image of the same name, beside {found[0]}"]))
    return cases


def _part_in_name(file: Path) -> str | None:
    found = re.search("training|validation|test", file.stem.lower())
    return SPLIT_WORDS[found.group()] if found else None


def _add_lesions(cases: Iterable[IsicCase], tables: Iterable[IsicTable]) -> None:
    lesion_of = {row.image: row.lesion for table in tables for row in table.rows if row.lesion}
    for case in cases:
        if case.lesion is None and case.image:
            case.lesion = lesion_of.get(case.case) or lesion_of.get(PurePosixPath(case.image).stem)
