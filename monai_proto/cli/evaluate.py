"""``monai-proto evaluate``: the best model of a run, case by case."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from monai_proto.cli.settings import settings, start_threads

__all__ = ["evaluate"]


def evaluate(
    run: Annotated[Path, typer.Argument(help="Folder of a run.")],
    data: Annotated[
        str | None, typer.Option(help="Folder of other data. Default: that of the run.", show_default=False)
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder for tables and pictures. Default: in the run.", show_default=False)
    ] = None,
) -> None:
    """
    Evaluate the best model of a run: a table of the classes, one of every case, and pictures.

    Example: monai-proto evaluate run1
    """
    start_threads()
    from monai_proto.apps.run.evaluation import evaluate as evaluate_model

    evaluate_model(run, data, output, settings.verbose)
