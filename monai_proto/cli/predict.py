"""``monai-proto predict`` and ``explain``: masks or answers for images, with a run's model or a bundle's."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from monai_proto.cli.settings import settings, start_threads
from monai_proto.workflows.overrides import parse_overrides

__all__ = ["explain", "predict"]

Model = Annotated[str, typer.Argument(metavar="RUN_OR_BUNDLE", help="Folder of a run, or name or folder of a bundle.")]
Source = Annotated[str, typer.Option("--input", help="An image, or a folder of images with folders in it.")]
Output = Annotated[Path, typer.Option(help="Folder for the results, new or empty.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Value of the configuration to change; may come repeatedly."),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Empty --output first, if a prediction wrote it.")]


def predict(
    model: Model,
    source: Source,
    output: Output,
    values: Overrides = None,
    overwrite: Overwrite = False,
) -> None:
    """
    Segment or classify images: masks as NIfTI on each image's own grid, or PNG; answers with figures.

    Results lie below --output as the images lie below --input. A promptable bundle takes its prompt by --set.

    Example: monai-proto predict run1 --input /data/patients --output masks

    Example: monai-proto predict dermoscopy_sam_weak_segmentation --input a.jpg --output m --set "box=[40,30,180,140]"
    """
    overrides = parse_overrides(values or [])
    start_threads()
    from monai_proto.apps.run import prediction

    prediction.predict(model, source, output, overrides, overwrite, settings.verbose)


def explain(
    model: Model,
    source: Source,
    output: Output,
    values: Overrides = None,
    overwrite: Overwrite = False,
) -> None:
    """
    Draw why a prototype bundle answers as it does: which patch looks like which training patch.

    Example: monai-proto explain dermoscopy_prototype_classification --input lesion.jpg --output reasons
    """
    overrides = parse_overrides(values or [])
    start_threads()
    from monai_proto.apps.run import prediction

    prediction.explain(model, source, output, overrides, overwrite, settings.verbose)
