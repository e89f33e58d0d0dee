"""Prepares a Medical Segmentation Decathlon data set, or a folder laid out like one, for semi-supervised training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from monai_proto.cli.prepare_script import (
    exit_on_error,
    option,
    report_nothing_usable,
    report_written,
    split_names,
)

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

    Example: python data_scripts/prepare_decathlon.py --source Task04_Hippocampus --output prepared --labelled 10
    """
    import pooch
    import requests

    from monai_proto.preparation.decathlon.source import open_decathlon_source

    pooch.get_logger().setLevel("WARNING")
    if sha256 and md5:
        raise typer.BadParameter("give --sha256 or --md5, not both")
    known_hash = f"sha256:{sha256}" if sha256 else f"md5:{md5}" if md5 else None
    download = open_decathlon_source(output, source, task, url, known_hash, download_dir, Console(stderr=True))
    with exit_on_error(requests.RequestException), download as (root, transfer):
        _prepare(
            root,
            output,
            subjects,
            {
                "validation_fraction": validation_fraction,
                "test_fraction": test_fraction,
                "num_labelled": labelled,
                "seed": seed,
                "keep_order": keep_order,
            },
            split_names(modalities),
            split_names(label_names),
            "link" if link and transfer == "copy" else transfer,
        )


def _prepare(
    root: Path,
    output: Path,
    subjects_file: Path | None,
    division_options: dict[str, Any],
    modalities: list[str] | None,
    label_names: list[str] | None,
    transfer: str,
) -> None:
    """Find, check, divide, write, and print the summary. Returns whether there was anything to write."""
    from monai_proto.data.subject_split import read_subjects_csv
    from monai_proto.preparation.decathlon.source import scan_decathlon_folder
    from monai_proto.preparation.volumes.checks import assign_subjects, check_cases
    from monai_proto.preparation.volumes.division import VolumeDivision, divide_cases
    from monai_proto.preparation.volumes.output import (
        declared_label_values,
        describe_dataset,
        name_label_values,
        report_cases,
        require_output,
        write_prepared_dataset,
    )

    progress = Console(stderr=True)
    folder = scan_decathlon_folder(root)
    require_output(folder, output)
    properties = describe_dataset(folder.properties, root.name, modalities, label_names)
    if subjects_file is None and (root / "subjects.csv").is_file():
        subjects_file = root / "subjects.csv"
    subjects = read_subjects_csv(subjects_file) if subjects_file else {}
    pairs = sum(case.image is not None and case.label is not None for case in folder.cases)
    if (division_options["num_labelled"] or 0) > pairs > 0:  # said before hours of reading, not after
        raise ValueError(
            f"--labelled {division_options['num_labelled']} is more than the {pairs} pairs of image and label."
        )

    found = check_cases(folder, len(properties["modality"]), declared_label_values(properties), progress)
    cases = [case for case in folder.cases if not case.problems]
    if not any(case.label for case in cases):
        report = report_cases(folder, VolumeDivision(unlabelled=cases), properties["name"])
        report_nothing_usable(report, "no case with a usable label")
    folder.remarks += assign_subjects(cases, subjects)
    if "labels" not in properties:
        properties["labels"] = name_label_values(found)
        folder.remarks.append(f"no label names given, values found: {', '.join(properties['labels'])}")
    division = divide_cases(cases, **division_options)
    folder.remarks.append(division.describe())

    report = report_cases(folder, division, properties["name"])
    write_prepared_dataset(folder, division, properties, report, output, transfer, progress)
    report_written(report, output, num_labelled=division.num_labelled)


if __name__ == "__main__":
    app()
