"""From a folder of dermoscopy images to a prepared data set: the steps, in their order."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from monai_proto.preparation.case_report import report_cases
from monai_proto.preparation.isic.case import IsicLayout
from monai_proto.preparation.isic.checks import check_images
from monai_proto.preparation.isic.division import IsicDivision, divide_isic_cases
from monai_proto.preparation.isic.duplicates import DEFAULT_HASH_DISTANCE, group_cases
from monai_proto.preparation.isic.output import IsicTransfer, isic_output_place, write_isic_dataset
from monai_proto.preparation.isic.source import scan_isic_source
from monai_proto.preparation.prepared import Prepared

__all__ = ["prepare_isic"]


def prepare_isic(
    root: Path,
    output: Path,
    layout: IsicLayout | None = None,
    metadata: Sequence[Path] = (),
    classes: Sequence[str] | None = None,
    validation_fraction: float | None = None,
    test_fraction: float | None = None,
    seed: int = 0,
    ignore_split: bool = False,
    min_size: int = 32,
    hash_distance: int | None = DEFAULT_HASH_DISTANCE,
    workers: int | None = None,
    transfer: IsicTransfer = "copy",
    console: Console | None = None,
) -> Prepared:
    """
    Find, check, group, divide and write.

    Args:
        root: the source folder.
        output: new folder, or the source folder itself.
        layout, metadata, classes: see :func:`scan_isic_source`.
        validation_fraction, test_fraction, seed: see :func:`divide_isic_cases`.
        ignore_split: draw a new split, whatever split the source gives.
        min_size, workers: see :func:`check_images`.
        hash_distance: see :func:`group_cases`.
        transfer: see :func:`write_isic_dataset`.
        console: where progress bars are shown; None for nowhere.

    Raises:
        ValueError: when the source cannot be read, an option does not fit, or the output is not free.
    """
    isic_output_place(root, output).require()  # said before minutes of reading, not after
    source = scan_isic_source(root, layout, metadata, classes)
    if ignore_split:
        for case in source.cases:
            case.listed_in = None
    name = root.resolve().name
    hashes = check_images(source, min_size, workers, console)
    readable = [case for case in source.cases if not case.problems]
    source.remarks += group_cases(readable, hashes, hash_distance)
    cases = [case for case in readable if not case.problems]
    if not cases:
        report = report_cases(name, IsicDivision().parts(), source.cases, source.remarks)
        return Prepared(report, lacking="no usable image")
    division = divide_isic_cases(cases, source.classes, validation_fraction, test_fraction, seed)
    report = report_cases(name, division.parts(), source.cases, source.remarks + division.remarks)
    write_isic_dataset(source, division, report, output, transfer, console)
    return Prepared(report, output)
