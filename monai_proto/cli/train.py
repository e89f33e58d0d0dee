"""``monai-proto train``: a bundle trains into the folder of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from monai_proto.cli.exit_status import exit_status

__all__ = ["train"]


def train(
    bundle: Annotated[str, typer.Argument(help="Name of a bundle, or folder of one.")],
    output: Annotated[Path, typer.Option(help="Folder of the run: everything that is written lies there.")],
    data: Annotated[
        str | None, typer.Option(help="Folder of the data set. Default: phantoms.", show_default=False)
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Value of the configuration to change; may come repeatedly."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --output.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run in --output.")] = False,
    processes: Annotated[int, typer.Option(help="Processes that train together, by torchrun.", min=1)] = 1,
    threads: Annotated[
        int | None, typer.Option(help="Threads of each process on CPUs.", min=1, show_default=False)
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="Say which call of MONAI's does the same.")] = False,
) -> None:
    """
    Train a bundle, evaluate its best model, and explain the run in one folder; read its summary.md first.

    Ctrl-C loses no finished epoch: --resume goes on.

    Example: monai-proto train hippocampus_mri_semisupervised --data /data/hippocampus --output run1 --set max_epochs=20
    """
    with exit_status():
        from monai_proto.apps.run.bundle_location import find_bundle
        from monai_proto.apps.run.overrides import parse_overrides

        folder, overrides = find_bundle(bundle), parse_overrides(settings or [])
        from monai_proto.apps.run import training

        stopped = False
        try:
            training.train(
                training.TrainSettings(
                    folder, output, data, overrides, resume, overwrite, processes, threads, verbose=verbose
                )
            )
        except training.RunStopped:
            stopped = True
    if stopped:
        raise typer.Exit(130)
