"""Prepares a folder of dermoscopy images (HAM10000, ISIC 2018/2019, class folders) for training a classifier."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from monai_proto.cli.prepare_script import exit_on_error, option, report_prepared, split_names

__all__ = ["app", "main"]

app = typer.Typer(add_completion=False, rich_markup_mode="markdown", pretty_exceptions_enable=False)

_SOURCE, _SPLIT, _CHECK = "Where the data comes from", "How the images are divided", "What is checked"


class Layout(str, Enum):
    """How the source folder is laid out."""

    ham10000 = "ham10000"
    isic = "isic"
    folders = "folders"


@app.command()
def main(
    source: Annotated[
        Path,
        typer.Option(
            help="Folder with the images, at any depth, and with their tables (--metadata names others): HAM10000 "
            "metadata (image_id, dx, lesion_id, split), ISIC ground truth (image, MEL, NV, ...) with lesion groupings "
            "(image, lesion_id), or no table but a folder for each class, also within train, val and test. Masks are "
            "`<image id>_segmentation.png`, or lie in a folder masks."
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            help="New folder for the prepared data set. Give the source folder itself to write the lists there and "
            "copy nothing."
        ),
    ],
    layout: Annotated[Layout | None, option("Default: by the columns of the tables.", _SOURCE)] = None,
    metadata: Annotated[
        list[Path] | None,
        option("Table to read, may be repeated. Default: all tables of a known kind in the source.", _SOURCE),
    ] = None,
    classes: Annotated[
        str | None,
        option(
            "Names of the classes in the order of their labels 0, 1, ..., such as akiec,bcc,bkl,df,mel,nv,vasc; images "
            "of others are left out. Default: those that occur, of HAM10000 by name, of ISIC in the order of columns.",
            _SOURCE,
        ),
    ] = None,
    validation_fraction: Annotated[
        float | None,
        option(
            "Share of the images of each class for validation, by whole lesions; of the training part, where the "
            "source gives a split. Default: the validation part of the source, else 0.2.",
            _SPLIT,
            min=0,
            max=0.99,
        ),
    ] = None,
    test_fraction: Annotated[
        float | None,
        option("The same for test. Default: the test part of the source, else 0.", _SPLIT, min=0, max=0.99),
    ] = None,
    seed: Annotated[int, option("What the draws depend on. Default: 0.", _SPLIT)] = 0,
    ignore_split: Annotated[
        bool, option("Draw a new split, whatever split the source gives.", _SPLIT, "--ignore-split")
    ] = False,
    min_size: Annotated[
        int, option("Pixels that width and height must have at least. Default: 32.", _CHECK, min=1)
    ] = 32,
    hash_distance: Annotated[
        int | None,
        option(
            "Bits of 256 of the perceptual hash in which near-duplicates may differ; -1 looks for none. Default: 34.",
            _CHECK,
            min=-1,
            max=255,
        ),
    ] = None,
    workers: Annotated[int | None, option("Threads that read images. Default: one a core.", _CHECK, min=1)] = None,
    link: Annotated[
        bool, typer.Option("--link/--copy", help="Hard-link the files of included images instead of copying them.")
    ] = False,
    in_place: Annotated[
        bool, typer.Option("--in-place", help="Leave the files where they are: the data list has absolute paths.")
    ] = False,
) -> None:
    """
    Check every image of a dermoscopy data set, divide them by class and lesion, and write a data list.

    Left out are images that are unreadable, truncated or too small, whose label is not known, that are copies of
    another (all of them where their labels disagree), and rows and images without the other. No lesion is in two
    parts, and no near-duplicates are, by a perceptual hash.

    The output gets dataset.json (with checksums), report.csv (one row per image) and summary.txt (names every image
    that was left out, and why). It appears whole or not at all. Exit status: 1 when no usable image is left or a file
    cannot be written, 2 when an argument does not fit.

    Example: monai-proto prepare isic --source HAM10000 --output prepared --test-fraction 0.2
    """
    if link and in_place:
        raise typer.BadParameter("give --link or --in-place, not both")
    from monai_proto.preparation.isic.duplicates import DEFAULT_HASH_DISTANCE
    from monai_proto.preparation.isic.prepare import prepare_isic

    distance = DEFAULT_HASH_DISTANCE if hash_distance is None else hash_distance
    with exit_on_error():
        prepared = prepare_isic(
            source,
            output,
            layout.value if layout else None,
            metadata or (),
            split_names(classes),
            validation_fraction,
            test_fraction,
            seed,
            ignore_split,
            min_size,
            None if distance < 0 else distance,
            workers,
            "none" if in_place else "link" if link else "copy",
            Console(stderr=True),
        )
        report_prepared(prepared)
