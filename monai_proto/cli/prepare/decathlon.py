"""Prepares a Medical Segmentation Decathlon data set, or a folder laid out like one, for semi-supervised training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from monai_proto.cli.prepare_script import exit_on_error, option, report_prepared, split_names

__all__ = ["app", "main"]

app = typer.Typer(add_completion=False, rich_markup_mode="markdown", pretty_exceptions_enable=False)

_SOURCE, _SPLIT, _CONTENT = "Where the data comes from", "How the cases are divided", "What the data is"


@app.command()
def main(
    output: Annotated[
        Path,
        typer.Option(
            help="New folder for the prepared data set. Give the source folder itself to write the lists there and "
            "copy nothing; its own dataset.json is then kept as dataset.original.json."
        ),
    ],
    source: Annotated[
        Path | None,
        option(
            "A folder with imagesTr/labelsTr or images/labels, or a tar file of one. With --task: the folder of a "
            "local mirror that holds the task as a folder or as a tar file.",
            _SOURCE,
        ),
    ] = None,
    images: Annotated[
        str | None,
        option(
            "Glob pattern of the images in the folder --source, for one folder a patient: '*/t1.nii.gz'; ** for any "
            "folders. With --labels.",
            _SOURCE,
        ),
    ] = None,
    labels: Annotated[
        str | None,
        option(
            "Glob pattern of the labels, with the same wildcards: '*/seg.nii.gz'. Files for which they stand for the "
            "same belong together; what lies in the first folder of a wildcard is one patient.",
            _SOURCE,
        ),
    ] = None,
    task: Annotated[
        str | None,
        option("A Decathlon task, such as Task04_Hippocampus: its address and MD5 are known.", _SOURCE),
    ] = None,
    url: Annotated[str | None, option("Address of a tar file; needs --sha256 or --md5.", _SOURCE)] = None,
    sha256: Annotated[str | None, option("Hash that the tar file must have.", _SOURCE)] = None,
    md5: Annotated[str | None, option("Hash that the tar file must have.", _SOURCE)] = None,
    download_dir: Annotated[
        Path | None,
        option(
            "Where a downloaded tar file is kept, as is a part of one: the same command again goes on there. "
            "Default: the folder that --output is in.",
            _SOURCE,
        ),
    ] = None,
    subjects: Annotated[
        Path | None,
        option(
            "CSV with the columns case,subject (case: file name without .nii.gz): all cases of a subject stay on one "
            "side. Default: subjects.csv in the source folder, where there is one.",
            _SPLIT,
        ),
    ] = None,
    validation_fraction: Annotated[
        float | None,
        option(
            "Share of subjects for validation. Default: the split of dataset.json, else 0.2.", _SPLIT, min=0, max=0.99
        ),
    ] = None,
    test_fraction: Annotated[
        float | None,
        option(
            "Share of subjects held out for test. Default: the split of dataset.json, else 0.", _SPLIT, min=0, max=0.99
        ),
    ] = None,
    labelled: Annotated[
        int | None,
        option(
            "Number of training cases used with their label, drawn by whole subjects; they come first in the list. "
            "Default: all.",
            _SPLIT,
            min=1,
        ),
    ] = None,
    seed: Annotated[int, option("What the draws depend on. Default: 0.", _SPLIT)] = 0,
    keep_order: Annotated[
        bool,
        option("Take the first --labelled cases in the order of dataset.json, without a draw.", _SPLIT, "--keep-order"),
    ] = False,
    modalities: Annotated[
        str | None, option("Names of the channels, such as FLAIR,T1w. Default: those of dataset.json.", _CONTENT)
    ] = None,
    label_names: Annotated[
        str | None,
        option(
            "Names of the label values 0,1,..., such as background,liver,tumour. Default: those of dataset.json, else "
            "whatever values are found.",
            _CONTENT,
        ),
    ] = None,
    link: Annotated[
        bool, typer.Option("--link/--copy", help="Hard-link the files of a source folder instead of copying them.")
    ] = False,
) -> None:
    """
    Check every case of a segmentation data set, divide the cases by subject, and write a Decathlon data list.

    Images (.nii.gz, .nii) and label maps belong together by dataset.json, else by file name. Left out are cases that
    are unreadable or duplicated, or whose label does not fit: another shape, another place in the world, values that
    are not declared, nothing but background. An image without a label is kept as unlabelled.

    The output gets dataset.json (with checksums), report.csv (one row per case) and summary.txt (names every case that
    was left out, and why). It appears whole or not at all. Exit status: 1 when no usable case is left or a file cannot
    be fetched or written, 2 when an argument does not fit.

    Example: monai-proto prepare decathlon --source Task04_Hippocampus --output prepared --labelled 10

    Folders of patients: monai-proto prepare decathlon --source patients --images '*/t1.nii.gz'
    --labels '*/seg.nii.gz' --output prepared
    """
    import pooch
    import requests

    from monai_proto.preparation.decathlon.prepare import prepare_decathlon, prepare_matching_files
    from monai_proto.preparation.decathlon.source import open_decathlon_source
    from monai_proto.preparation.output_place import Transfer

    pooch.get_logger().setLevel("WARNING")
    if sha256 and md5:
        raise typer.BadParameter("give --sha256 or --md5, not both")
    if (images is None) != (labels is None):
        raise typer.BadParameter("--images and --labels belong together: give both")
    if images and (source is None or task or url or sha256 or md5):
        raise typer.BadParameter("--images and --labels are for a folder: give its --source, no --task, --url or hash")
    console = Console(stderr=True)
    known_hash = f"sha256:{sha256}" if sha256 else f"md5:{md5}" if md5 else None
    division_options = {
        "validation_fraction": validation_fraction,
        "test_fraction": test_fraction,
        "num_labelled": labelled,
        "seed": seed,
        "keep_order": keep_order,
    }
    names = split_names(modalities), split_names(label_names)
    with exit_on_error(requests.RequestException):
        if source and images and labels:
            prepared = prepare_matching_files(
                source,
                output,
                images,
                labels,
                subjects,
                division_options,
                *names,
                "link" if link else "copy",
                console,
            )
        else:
            with open_decathlon_source(output, source, task, url, known_hash, download_dir, console) as (root, way):
                transfer: Transfer = "link" if link and way == "copy" else way
                prepared = prepare_decathlon(root, output, subjects, division_options, *names, transfer, console)
        report_prepared(prepared)
