"""Prepares a TotalSegmentator-style folder (one folder a subject, one mask an organ) for semi-supervised training."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from monai_proto.cli.prepare_script import exit_on_error, option, report_prepared

__all__ = ["app", "main"]

app = typer.Typer(add_completion=False, rich_markup_mode="markdown", pretty_exceptions_enable=False)

_SPLIT = "How the subjects are divided"


_split_option = partial(option, panel=_SPLIT)


@app.command()
def main(
    source: Annotated[
        Path, typer.Option(help="Folder with one folder a subject: ct.nii.gz and segmentations/ORGAN.nii.gz.")
    ],
    output: Annotated[Path, typer.Option(help="New folder for the prepared data set.")],
    organs: Annotated[
        str,
        typer.Option(
            help="Organs in the order of their label values 1, 2, ..., by the names of their mask files. Several masks "
            "as one organ: kidneys=kidney_left+kidney_right."
        ),
    ],
    image_name: Annotated[str, typer.Option(help="File name of a subject's image.")] = "ct.nii.gz",
    missing_as_empty: Annotated[
        bool,
        typer.Option(
            "--missing-as-empty",
            help="A mask that is not there means that the organ is not in the image. Without this such a subject is "
            "used as unlabelled.",
        ),
    ] = False,
    subjects: Annotated[
        Path | None,
        _split_option(
            "CSV with the columns case,subject (case: name of the folder): all cases of a patient stay on one side. "
            "Default: every folder is a patient of its own."
        ),
    ] = None,
    validation_fraction: Annotated[
        float | None,
        _split_option("Share of patients for validation. Default: the split of meta.csv, else 0.2.", min=0, max=0.99),
    ] = None,
    test_fraction: Annotated[
        float | None,
        _split_option("Share of patients held out for test. Default: the split of meta.csv, else 0.", min=0, max=0.99),
    ] = None,
    labelled: Annotated[
        int | None,
        _split_option("Number of training cases used with their label, whole patients drawn. Default: all.", min=1),
    ] = None,
    seed: Annotated[int, _split_option("What the draws depend on. Default: 0.")] = 0,
    link: Annotated[bool, typer.Option("--link/--copy", help="Hard-link the images instead of copying them.")] = False,
) -> None:
    """
    Merge the masks of every subject to one label map, check it, divide the subjects, and write a Decathlon data list.

    Where masks overlap the smaller structure stays, and the report says in how many voxels. Left out are subjects whose
    image or mask is unreadable or duplicated, or lies on another grid, whose masks are not 0 and 1, or in which none of
    the organs occurs.

    The output gets imagesTr, labelsTr, dataset.json (with names and checksums), report.csv (one row per subject) and
    summary.txt (names every subject that was left out, and why). It appears whole or not at all. Exit status: 1 when no
    usable case is left or a file cannot be written, 2 when an argument does not fit.

    Example: monai-proto prepare totalsegmentator --source Totalsegmentator_dataset_v201 --output prepared
    --organs liver,spleen,kidney_left,kidney_right,aorta --labelled 10
    """
    from monai_proto.preparation.totalsegmentator.prepare import prepare_totalsegmentator

    division_options = {
        "validation_fraction": validation_fraction,
        "test_fraction": test_fraction,
        "num_labelled": labelled,
        "seed": seed,
    }
    with exit_on_error():
        prepared = prepare_totalsegmentator(
            source,
            output,
            organs,
            image_name,
            missing_as_empty,
            subjects,
            division_options,
            "link" if link else "copy",
            Console(stderr=True),
        )
        report_prepared(prepared)
