"""Which object of a data list of boxes goes to training, validation and test: by a table, or by a draw of subjects."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from monai_proto.data.boxes.annotation import BoxAnnotation
from monai_proto.data.boxes.datalist import BOX_PARTS
from monai_proto.data.picture_files import picture_name
from monai_proto.data.subject_split import split_subjects
from monai_proto.data.table_file import read_table
from monai_proto.preparation.split_words import split_part

__all__ = ["apply_split_table", "divide_by_subject", "parts_of"]

_ID_COLUMNS = ("image_id", "image", "case")
_SUBJECT_COLUMNS = ("lesion_id", "patient_id", "patient", "subject")


def apply_split_table(annotations: Sequence[BoxAnnotation], file: str | os.PathLike) -> list[str]:
    """
    Set subject and split of every object from a table; an image that it lacks gets a problem.

    Args:
        annotations: the objects.
        file: table with a column image_id (or image, case), and lesion_id (or patient_id, patient, subject), split, or
            both. Splits are train, validation (val) and test.

    Returns:
        remarks for the report.

    Raises:
        ValueError: when the file does not exist, is no table, lacks the columns, has an unknown split, or two rows of
            an image that do not agree.
    """
    rows = _read(Path(file))
    unused = dict(rows)
    for annotation in annotations:
        if annotation.image is None:
            continue
        row = rows.get(annotation.image_id)
        if row is None:
            annotation.problems.append(f"image {annotation.image_id} has no row in {Path(file).name}")
            continue
        unused.pop(annotation.image_id, None)
        subject, annotation.split = row
        annotation.subject = subject or annotation.subject
    return [f"{len(unused)} rows of {Path(file).name} are of images that are not here"] if unused else []


def divide_by_subject(
    annotations: Sequence[BoxAnnotation], validation_fraction: float | None, test_fraction: float | None, seed: int
) -> str:
    """
    Give every usable object without a split one: whole subjects are drawn from training.

    Args:
        annotations: objects without problems; those that a table put into validation or test stay there.
        validation_fraction: share of the subjects for validation; None for 0.2 where no object has a split, else 0.
        test_fraction: share for test; None for 0.
        seed: what the draw depends on.

    Returns:
        a remark for the report: how it was done.

    Raises:
        ValueError: when a fraction is out of range or would leave nothing for training.
    """
    given = any(annotation.split for annotation in annotations)
    drawn_from = [annotation for annotation in annotations if annotation.split in ("", "training")]
    subjects = {annotation.subject or annotation.image_id for annotation in drawn_from}
    if validation_fraction is None:
        # a single subject cannot be divided: it is for training
        validation_fraction = 0.0 if given or len(subjects) < 2 else 0.2
    fractions = {"validation": validation_fraction, "test": test_fraction or 0.0}
    part_of = split_subjects(subjects, fractions, seed)
    for annotation in drawn_from:
        annotation.split = part_of.get(annotation.subject or annotation.image_id, "training")
    known = "by subject" if any(one.subject for one in annotations) else "every image as a subject of its own"
    if not any(fractions.values()):
        return f"division of the table kept ({known})" if given else f"all for training ({known})"
    shares = ", ".join(f"{part} {fraction:g}" for part, fraction in fractions.items() if fraction)
    return f"drawn with seed {seed}, {known}: {shares}"


def parts_of(annotations: Iterable[BoxAnnotation]) -> dict[str, list[BoxAnnotation]]:
    """The objects by the name of their part; those without one are in none."""
    parts: dict[str, list[BoxAnnotation]] = {part: [] for part in BOX_PARTS}
    for annotation in annotations:
        if annotation.split:
            parts[annotation.split].append(annotation)
    return parts


def _read(file: Path) -> dict[str, tuple[str, str]]:
    """Subject and split of each image; empty where there is no such column."""
    table = read_table(file)
    id_column, subject_column = table.find(*_ID_COLUMNS), table.find(*_SUBJECT_COLUMNS)
    has_split = table.find("split") is not None
    if id_column is None or (subject_column is None and not has_split):
        raise ValueError(
            f"{table.name} must have a column {', '.join(_ID_COLUMNS)} and one of split, "
            f"{', '.join(_SUBJECT_COLUMNS)}, got {list(table.columns)}."
        )
    found: dict[str, tuple[str, str]] = {}
    for row in table.rows:
        name = picture_name(row[id_column])
        try:
            split = split_part(row["split"]) if has_split else ""
        except ValueError as error:
            raise table.error(row, str(error)) from error
        values = (row[subject_column] if subject_column else "", split)
        if found.setdefault(name, values) != values:
            raise table.error(row, f"a second row of {name} says something else.")
    return found
