"""Writes predictions of a bundle as a folder of label maps that nnU-Net takes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from monai_proto.cli.prepare_script import exit_on_error

app = typer.Typer(add_completion=False, rich_markup_mode="markdown", pretty_exceptions_enable=False)


@app.command()
def main(
    predictions: Annotated[Path, typer.Option(help="Folder of label maps, such as a bundle's inference writes.")],
    output: Annotated[Path, typer.Option(help="New folder for CASE.nii.gz.")],
    dataset: Annotated[
        Path | None,
        typer.Option(
            help="Prepared data set that names channels and labels: the folder gets nnU-Net's dataset.json. Default: "
            "label maps alone.",
            show_default=False,
        ),
    ] = None,
    postfix: Annotated[str, typer.Option(help="What a prediction's name has after that of its image.")] = "seg",
) -> None:
    """
    Name label maps as nnU-Net does (`CASE.nii.gz` for the image `CASE_0000.nii.gz`), as small integers.

    The folder appears whole or not at all. Exit status: 1 when a file cannot be written, 2 when an argument or a file
    does not fit.

    Example: python data_scripts/to_nnunet.py --predictions eval --dataset prepared --output predictions_nnunet
    """
    from monai_proto.preparation.nnunet.output import write_nnunet_labels

    with exit_on_error():
        cases = write_nnunet_labels(predictions, output, dataset, postfix, Console(stderr=True))
    typer.echo(f"Written to {output}: {len(cases)} label maps{', dataset.json' if dataset else ''}")


if __name__ == "__main__":
    app()
