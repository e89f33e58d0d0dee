"""``monai-proto train``: a bundle trains into the folder of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from monai_proto.apps.run.train_settings import TrainSettings
from monai_proto.cli.settings import settings, start_threads
from monai_proto.workflows.catalog import find_bundle
from monai_proto.workflows.overrides import parse_overrides

__all__ = ["train"]


def train(
    bundle: Annotated[str, typer.Argument(help="Name of a bundle, or folder of one.")],
    output: Annotated[Path, typer.Option(help="Folder of the run: everything that is written lies there.")],
    data: Annotated[
        str | None, typer.Option(help="Folder of the data set. Default: phantoms.", show_default=False)
    ] = None,
    values: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Value of the configuration to change; may come repeatedly."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --output.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run in --output.")] = False,
    processes: Annotated[
        int, typer.Option(help="Processes that train together, by torchrun; they share --threads.", min=1)
    ] = 1,
) -> None:
    """
    Train a bundle, evaluate its best model, and explain the run in one folder; read its summary.md first.

    Ctrl-C loses no finished epoch: --resume goes on.

    Example: monai-proto train hippocampus_mri_semisupervised --data /data/hippocampus --output run1 --set max_epochs=20
    """
    overrides = parse_overrides(values or [])
    run = TrainSettings(
        find_bundle(bundle), output, data, overrides, resume, overwrite, processes, verbose=settings.verbose
    )
    run.check()
    start_threads()
    from monai_proto.apps.run.training import RunStopped
    from monai_proto.apps.run.training import train as train_bundle

    try:
        train_bundle(run)
    except RunStopped:
        raise typer.Exit(130) from None
