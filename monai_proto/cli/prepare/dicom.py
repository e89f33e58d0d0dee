"""Prepares a tree of mixed DICOM files for semi-supervised training: NIfTI files, a data list, a key kept apart."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from monai_proto.cli.prepare_script import exit_on_error, option, report_prepared, split_names

__all__ = ["app", "main"]

app = typer.Typer(add_completion=False, rich_markup_mode="markdown", pretty_exceptions_enable=False)

_TAKEN, _SPLIT, _RUN = "What is taken", "How the cases are divided", "How it runs"


@app.command()
def main(
    source: Annotated[Path, typer.Option(help="Folder with DICOM files, in any order, at any depth.")],
    output: Annotated[Path, typer.Option(help="New folder for the prepared data set.")],
    key: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the key from pseudonyms to the original identifiers, and for the report that names "
            "original files; it must lie apart from --output. One from an earlier run is gone on with: patients keep "
            "their pseudonyms. Default: OUTPUT_key.",
            show_default=False,
        ),
    ] = None,
    modality: Annotated[str | None, option("Series of one modality only, such as CT or MR.", _TAKEN)] = None,
    labels: Annotated[
        str | None,
        option(
            "Structures to take from RTSTRUCT and SEG, in the order of the label values 1,2,..., such as "
            "liver,spleen. Default: all, by name.",
            _TAKEN,
        ),
    ] = None,
    keep_derived: Annotated[
        bool, option("Take images that were computed from others (ImageType DERIVED).", _TAKEN, "--keep-derived")
    ] = False,
    min_slices: Annotated[int, option("Slices that a series must have. Default: 2.", _TAKEN, min=2)] = 2,
    keep_tags: Annotated[
        str | None,
        option(
            "DICOM values to carry over into the data list, as keywords or tags: PatientSex;PatientAge;0019,100A. "
            "Default: none.",
            _TAKEN,
        ),
    ] = None,
    validation_fraction: Annotated[
        float | None, option("Share of patients for validation. Default: 0.2.", _SPLIT, min=0, max=0.99)
    ] = None,
    test_fraction: Annotated[
        float | None, option("Share of patients held out for test. Default: 0.", _SPLIT, min=0, max=0.99)
    ] = None,
    labelled: Annotated[
        int | None,
        option(
            "Number of training cases used with their label, drawn by whole patients; they come first in the list. "
            "Default: all.",
            _SPLIT,
            min=1,
        ),
    ] = None,
    seed: Annotated[int, option("What the draws depend on. Default: 0.", _SPLIT)] = 0,
    workers: Annotated[int | None, option("Processes that convert series. Default: one a core.", _RUN, min=1)] = None,
) -> None:
    """
    Convert every usable series to NIfTI, divide by patient, and write a Decathlon data list.

    Slices are ordered by where they lie. Left out are localizers, derived images, series with missing or unevenly
    spaced slices, gantry tilt, two patients or several time points, colour, what is no image, and what cannot be read
    or decoded. RTSTRUCT and SEG become labels where they fit their series; an image without a label is unlabelled.

    The output gets dataset.json, report.csv and summary.txt, without names, birth dates, identifiers or private values;
    the key folder gets key.csv and the reports with the names of the original files. Both appear when everything is
    done; the same command goes on where an interrupted one stopped. Exit status: 1 when no usable series is left, a
    file cannot be written or a package is missing, 2 when an argument does not fit.

    Example: monai-proto prepare dicom --source /data/export --output prepared --modality CT
    """
    from monai.utils import OptionalImportError

    from monai_proto.preparation.dicom.prepare import prepare_dicom
    from monai_proto.preparation.dicom.source import DicomOptions

    hint = ". The same command goes on where this one stopped."
    with exit_on_error(OptionalImportError, hint=hint):
        prepared = prepare_dicom(
            source,
            output,
            key or output.absolute().with_name(f"{output.absolute().name}_key"),
            DicomOptions(
                modality=modality,
                label_names=tuple(split_names(labels) or ()) or None,
                keep_derived=keep_derived,
                min_slices=min_slices,
                keep_tags=tuple(split_names(keep_tags, ";") or ()),
            ),
            {
                "validation_fraction": validation_fraction,
                "test_fraction": test_fraction,
                "num_labelled": labelled,
                "seed": seed,
            },
            workers or len(os.sched_getaffinity(0)),
            Console(stderr=True),
        )
        report_prepared(prepared)
