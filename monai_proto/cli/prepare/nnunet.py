"""Prepares a raw folder of nnU-Net (version 1 or 2) for semi-supervised training."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from monai_proto.cli.prepare_script import exit_on_error, option, report_prepared

__all__ = ["app", "main"]

app = typer.Typer(add_completion=False, rich_markup_mode="markdown", pretty_exceptions_enable=False)

_split_option = partial(option, panel="How the cases are divided")


@app.command()
def main(
    source: Annotated[
        Path,
        typer.Option(
            help="Folder of one data set, such as nnUNet_raw/Dataset004_Hippocampus: dataset.json, "
            "imagesTr/CASE_0000.nii.gz, labelsTr/CASE.nii.gz and, where there are any, imagesTs and labelsTs."
        ),
    ],
    output: Annotated[Path, typer.Option(help="New folder for the prepared data set.")],
    splits: Annotated[
        Path | None,
        _split_option(
            "nnU-Net's splits_final.json (it lies in nnUNet_preprocessed). Default: that in the source folder, if any."
        ),
    ] = None,
    fold: Annotated[int | None, _split_option("Fold of the split. Default: 0.", min=0)] = None,
    subjects: Annotated[
        Path | None,
        _split_option(
            "CSV with the columns case,subject: all cases of a patient stay on one side. Default: every case is a "
            "patient of its own."
        ),
    ] = None,
    validation_fraction: Annotated[
        float | None, _split_option("Share of patients for validation. Default: the split, else 0.2.", min=0, max=0.99)
    ] = None,
    test_fraction: Annotated[
        float | None,
        _split_option("Share of patients held out for test. Default: labelled cases of imagesTs.", min=0, max=0.99),
    ] = None,
    labelled: Annotated[
        int | None,
        _split_option("Number of training cases used with their label, whole patients drawn. Default: all.", min=1),
    ] = None,
    seed: Annotated[int, _split_option("What the draws depend on. Default: 0.")] = 0,
    link: Annotated[bool, typer.Option("--link/--copy", help="Hard-link the files instead of copying them.")] = False,
) -> None:
    """
    Check every case of an nnU-Net data set, divide the cases, and write a Decathlon data list.

    Several channels (`CASE_0000`, `CASE_0001`) become one image with the channels last. An image without a label is
    kept as unlabelled. Refused are regions (labels of several values), a label ignore, and files that are not NIfTI.
    Left out are cases that are unreadable or duplicated, that lack a channel, or whose label does not fit.

    The output gets dataset.json (with checksums), report.csv (one row per case) and summary.txt (names every case that
    was left out, and why). It appears whole or not at all. Exit status: 1 when no usable case is left or a file cannot
    be written, 2 when an argument does not fit.

    Example: monai-proto prepare nnunet --source nnUNet_raw/Dataset004_Hippocampus --output prepared
    --splits nnUNet_preprocessed/Dataset004_Hippocampus/splits_final.json --fold 0 --labelled 10
    """
    from monai_proto.preparation.nnunet.prepare import prepare_nnunet

    division_options = {
        "validation_fraction": validation_fraction,
        "test_fraction": test_fraction,
        "num_labelled": labelled,
        "seed": seed,
    }
    with exit_on_error():
        report_prepared(
            prepare_nnunet(source, output, splits, fold, subjects, division_options, link, Console(stderr=True))
        )
