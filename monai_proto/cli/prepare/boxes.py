"""Prepares a data list of boxes, a small and a big one for every object, for weakly supervised segmentation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from monai_proto.cli.prepare_script import exit_on_error, option, report_prepared

__all__ = ["app", "main"]

app = typer.Typer(add_completion=False, rich_markup_mode="markdown", pretty_exceptions_enable=False)

_SOURCE, _BOXES, _SLICES = "Where the boxes come from (one of them)", "Boxes from masks", "Slices of NIfTI volumes"
_SPLIT = "How the objects are divided"


@app.command()
def main(
    output: Annotated[Path, typer.Option(help="New folder for the data list and the report.")],
    images: Annotated[
        Path, typer.Option(help="Folder of pictures (PNG, JPEG, TIFF, BMP; also in folders below), or of NIfTI images.")
    ],
    masks: Annotated[
        Path | None,
        option("Folder of masks or of NIfTI label maps, named like the images: boxes are made from them.", _SOURCE),
    ] = None,
    boxes: Annotated[
        Path | None,
        option("CSV with the columns image,[object,]small_x1,small_y1,small_x2,small_y2,big_x1,...,big_y2.", _SOURCE),
    ] = None,
    coco: Annotated[
        Path | None,
        option(
            "COCO JSON with two annotations an object, of the categories (or attribute box) small and big.", _SOURCE
        ),
    ] = None,
    inclusive_corners: Annotated[
        bool,
        option(
            "x2 and y2 of the CSV are the last pixel of a box. Default: they are its edge, one further.",
            _SOURCE,
            "--inclusive-corners",
        ),
    ] = False,
    big_margin: Annotated[
        float, option("Distance of the big box, as a share of the object's side. Default: 0.15.", _BOXES)
    ] = 0.15,
    small_inset: Annotated[
        float, option("Distance of the small box inwards, as a share of the side. Default: 0.2.", _BOXES)
    ] = 0.2,
    jitter: Annotated[
        float, option("Every side is moved by up to this share at random, as by hand. Default: 0.05.", _BOXES)
    ] = 0.05,
    components: Annotated[
        str,
        option(
            "When a mask shows several parts: one leaves it out, largest takes the largest, all takes them as one "
            "object. Default: one.",
            _BOXES,
        ),
    ] = "one",
    small_placement: Annotated[
        str,
        option(
            "inset: in the middle of the object's bounding box; inscribed: the largest square that is all object, for "
            "bent objects. Default: inset.",
            _BOXES,
        ),
    ] = "inset",
    axis: Annotated[
        str, option("axial, coronal or sagittal by the affine, or a voxel axis 0, 1, 2. Default: axial.", _SLICES)
    ] = "axial",
    slices: Annotated[
        str,
        option("Of every object: largest, all, or a number of slices, evenly spread. Default: largest.", _SLICES),
    ] = "largest",
    labels: Annotated[
        str | None,
        option(
            "Label values, such as 1,2; values that are one object together with a plus: 1+2. Default: every value "
            "found, each as an object of its own.",
            _SLICES,
        ),
    ] = None,
    min_pixels: Annotated[
        int, option("Least area of an object in a slice, in pixels. Default: 25.", _SLICES, min=1)
    ] = 25,
    table: Annotated[
        Path | None,
        option(
            "CSV with a column image_id (or case), and lesion_id (or patient_id, subject) and/or split (train, val, "
            "test): a subject's images stay on one side.",
            _SPLIT,
        ),
    ] = None,
    validation_fraction: Annotated[
        float | None,
        option("Share of subjects for validation. Default: the split of the table, else 0.2.", _SPLIT, min=0, max=0.99),
    ] = None,
    test_fraction: Annotated[
        float | None,
        option("Share of subjects for test. Default: the split of the table, else 0.", _SPLIT, min=0, max=0.99),
    ] = None,
    seed: Annotated[int, option("What the draw of subjects and the jitter depend on. Default: 0.", _SPLIT)] = 0,
    training_masks: Annotated[
        bool,
        typer.Option(
            "--training-masks/--no-training-masks",
            help="Whether training items name their mask, to monitor with; it never trains.",
        ),
    ] = True,
    name: Annotated[
        str | None, typer.Option(help="Name of the data set. Default: that of the folder that --images is in.")
    ] = None,
) -> None:
    """
    Make the two boxes of every object from masks, or read them from a CSV or COCO file, check them, and write a data
    list (`"task": "box_segmentation"`).

    Boxes are `[x1, y1, x2, y2]` in pixels of the upright image, edges: the whole image is `[0, 0, width, height]`.
    Left out are objects whose image is missing, unreadable or a copy of another; whose boxes are swapped, outside of
    the image, without area, or the small one not inside the big one; whose mask is empty, of another size, or shows
    several objects.

    The output gets dataset.json (paths are relative to it, images stay where they are), report.csv (one row an object)
    and summary.txt (names every object that was left out, and why). It appears whole or not at all. Exit status: 1 when
    no usable object is left or a file cannot be written, 2 when an argument does not fit.

    Example: monai-proto prepare boxes --images HAM10000/images --masks HAM10000/masks --table
    HAM10000/metadata.csv --output prepared
    """
    from monai_proto.data.boxes.annotation import BoxOptions
    from monai_proto.data.volume_slices import SliceOptions, label_groups
    from monai_proto.preparation.boxes.prepare import prepare_boxes
    from monai_proto.preparation.boxes.source import BoxSource

    with exit_on_error():
        box_options = BoxOptions(big_margin, small_inset, jitter, components, small_placement, seed)
        slice_options = SliceOptions(axis, slices, label_groups(labels), min_pixels)
        sources: dict[BoxSource, Path | None] = {"masks": masks, "boxes": boxes, "coco": coco}
        given = [(source, path) for source, path in sources.items() if path is not None]
        if len(given) != 1:
            got = " and ".join(f"--{source}" for source, _ in given) or "none"
            raise ValueError(f"give one of --masks, --boxes and --coco, got {got}.")
        prepared = prepare_boxes(
            images,
            output,
            *given[0],
            box_options,
            slice_options,
            inclusive_corners,
            table,
            validation_fraction,
            test_fraction,
            seed,
            training_masks,
            name,
            Console(stderr=True),
        )
        report_prepared(prepared)
