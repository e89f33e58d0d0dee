"""From pictures or volumes with masks or drawn boxes to a data list of boxes: the steps, in their order."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from monai_proto.data.atomic_write import require_new_folder
from monai_proto.data.boxes.annotation import BoxOptions
from monai_proto.data.volume_slices import SliceOptions
from monai_proto.preparation.boxes.division import apply_split_table, divide_by_subject, parts_of
from monai_proto.preparation.boxes.output import write_box_dataset
from monai_proto.preparation.boxes.source import BoxSource, find_annotations
from monai_proto.preparation.case_report import report_cases
from monai_proto.preparation.prepared import Prepared

__all__ = ["prepare_boxes"]


def prepare_boxes(
    images: Path,
    output: Path,
    source: BoxSource,
    source_path: Path,
    box_options: BoxOptions,
    slice_options: SliceOptions,
    inclusive_corners: bool = False,
    table: Path | None = None,
    validation_fraction: float | None = None,
    test_fraction: float | None = None,
    seed: int = 0,
    training_masks: bool = True,
    name: str | None = None,
    console: Console | None = None,
) -> Prepared:
    """
    Find, check, divide and write.

    Args:
        images: folder of pictures, or of NIfTI images.
        output: new folder.
        source, source_path, box_options, slice_options, inclusive_corners: see :func:`find_annotations`.
        table: see :func:`apply_split_table`; None for no table.
        validation_fraction, test_fraction, seed: see :func:`divide_by_subject`.
        training_masks: whether training items name their mask, to monitor with.
        name: name of the data set; None takes that of the folder that ``images`` is in.
        console: where progress bars are shown; None for nowhere.

    Raises:
        ValueError: when the source cannot be read, an option does not fit, or the output is not free.
    """
    require_new_folder(output)
    name = name or images.resolve().parent.name
    annotations = find_annotations(images, source, source_path, box_options, slice_options, inclusive_corners, console)
    remarks = apply_split_table(annotations, table) if table else []
    usable = [annotation for annotation in annotations if not annotation.problems]
    if not usable:
        return Prepared(report_cases(name, {}, annotations, remarks), lacking="no usable object")
    remarks.append(divide_by_subject(usable, validation_fraction, test_fraction, seed))
    report = report_cases(name, parts_of(usable), annotations, remarks)
    origin = box_options.describe() if source == "masks" else {"source": source_path.name}
    properties = {"name": name, "boxes": origin, "preparedBy": "monai_proto data_scripts/prepare_boxes.py"}
    write_box_dataset(usable, properties, report, output, training_masks)
    return Prepared(report, output)
