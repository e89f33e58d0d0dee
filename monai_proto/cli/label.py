"""``monai-proto label``: the bundles in MONAI Label."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["label"]


def label(
    studies: Annotated[
        str,
        typer.Option(
            help="Folder of NIfTI volumes, DICOM series in sub-folders, photographs; or http(s) address of a DICOMweb "
            "server, whose studies the OHIF viewer shows."
        ),
    ],
    models: Annotated[
        str | None, typer.Option(help="Names of bundles, separated by commas. Default: all.", show_default=False)
    ] = None,
    bundles: Annotated[
        Path | None, typer.Option(help="Folder of bundles. Default: those of the package.", show_default=False)
    ] = None,
    workspace: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the trained models. Default: monai_proto_label in the studies folder, for a DICOMweb "
            "server in ~/.local/share.",
            show_default=False,
        ),
    ] = None,
    modality: Annotated[str, typer.Option(help="Of the volumes, for SAM on slices: ct or mr.")] = "ct",
    host: Annotated[
        str, typer.Option(help="Address to listen at; the default serves this machine alone.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen at.", min=1, max=65535)] = 8000,
) -> None:
    """
    Serve the bundles in MONAI Label: annotate a few studies, train on all of them, be told which is next.

    Needs the environment that `make label-env` makes. Runs until interrupted. There is no log-in: leave it on the
    loopback, or behind something that has one.

    Example: .venv-label/bin/monai-proto label --studies /data/studies --models hippocampus_mri_semisupervised
    """
    if modality not in ("ct", "mr"):
        raise ValueError(f"--modality must be ct or mr, got {modality!r}.")
    from monai_proto.apps.monailabel.start_server import start_server

    given = {"models": models, "bundles": bundles, "workspace": workspace, "modality": modality}
    conf = {key: str(value) for key, value in given.items() if value is not None}
    start_server(studies, conf, host, port)
