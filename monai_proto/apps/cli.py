"""The console command ``monai-proto``."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from monai_proto.apps.dicom.node import Peer

__all__ = ["app"]

app = typer.Typer(add_completion=False, rich_markup_mode="markdown", pretty_exceptions_enable=False)


@app.callback()
def _commands() -> None:
    """Programs of monai_proto for use beside a PACS and in annotation."""


@app.command("dicom-seg")
def dicom_seg(
    bundle: Annotated[Path, typer.Option(help="Folder of a segmentation bundle.")],
    source: Annotated[Path, typer.Option("--input", help="Folder with the files of one DICOM series.")],
    output: Annotated[Path, typer.Option(help="New folder for segmentation.dcm; it appears whole or not at all.")],
    series: Annotated[str | None, typer.Option(help="SeriesInstanceUID, where the folder holds several.")] = None,
    checkpoint: Annotated[Path | None, typer.Option(help="Weights in place of the bundle's own.")] = None,
    nifti: Annotated[bool, typer.Option("--nifti", help="Write image and mask as NIfTI, too.")] = False,
    overview: Annotated[bool, typer.Option("--overview", help="Write a PNG with outlines, too.")] = False,
) -> None:
    """
    Segment a DICOM series with a MONAI bundle and write a DICOM SEG that refers to every image.

    Exit status: 1 when a file cannot be written, a package is missing or the bundle fails, 2 when the input does not
    fit.

    Example: monai-proto dicom-seg --bundle bundles/hippocampus_mri_semisupervised --input series --output result
    """
    from monai_proto.apps.quiet_libraries import quiet_libraries

    with _exit_status(), quiet_libraries():
        from monai_proto.apps.dicom.series_segmentation import segment_series

        result = segment_series(bundle, source, output, series, nifti, overview, checkpoint)
    for name, voxels in result.voxels.items():
        typer.echo(f"{name}: {voxels} voxels")
    for note in result.notes:
        typer.echo(f"Note: {note}")
    typer.echo(f"Written to {result.output}: {', '.join(sorted(path.name for path in result.output.iterdir()))}")


@app.command("dicom-node")
def dicom_node(
    bundle: Annotated[Path, typer.Option(help="Folder of a segmentation bundle.")],
    folder: Annotated[Path, typer.Option(help="Folder for what is received, done and failed.")],
    accept: Annotated[str, typer.Option(help="AE titles that may call, separated by commas; no others can.")],
    answer_to: Annotated[
        str | None, typer.Option(help="Where the SEG is sent, as AE@host:port. Default: it stays in the folder.")
    ] = None,
    ae_title: Annotated[str, typer.Option(help="AE title that peers must call.")] = "MONAI_PROTO",
    host: Annotated[
        str, typer.Option(help="Address to listen at; the default serves this machine alone.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen at.", min=0, max=65535)] = 11112,
    checkpoint: Annotated[Path | None, typer.Option(help="Weights in place of the bundle's own.")] = None,
    settle_seconds: Annotated[
        float, typer.Option(help="A series is complete when nothing of it has come for so long.", min=0)
    ] = 5.0,
) -> None:
    """
    Take series by C-STORE, segment each, and send the DICOM SEG back; series that fail are kept with the reason.

    Runs until interrupted; a series that is being segmented is finished first. For tests and demonstration: there is no
    TLS, so leave it on the loopback or a trusted wire.

    Example: monai-proto dicom-node --bundle BUNDLE --folder node --accept PACS --answer-to PACS@127.0.0.1:104
    """
    from monai_proto.apps.quiet_libraries import quiet_libraries

    with _exit_status(), quiet_libraries():
        from monai_proto.apps.bundle_segmentation import read_bundle_metadata
        from monai_proto.apps.dicom.node import DicomNode
        from monai_proto.apps.dicom.series_segmentation import SEG_NAME, segment_series

        def segment(series: Path, result: Path) -> Path:
            segment_series(bundle, series, result, checkpoint=checkpoint)
            return result / SEG_NAME

        read_bundle_metadata(bundle, checkpoint)  # said now, not when the first series has come
        titles = [title.strip() for title in accept.split(",") if title.strip()]
        peer = _parse_peer(answer_to) if answer_to else None
        with DicomNode(folder, segment, ae_title, titles, peer, host, port, settle_seconds, typer.echo) as node:
            typer.echo(f"{ae_title} listens at {host}:{node.port}; results in {folder}")
            for number in (signal.SIGINT, signal.SIGTERM):  # a service is ended by the second
                signal.signal(number, signal.default_int_handler)
            try:
                threading.Event().wait()
            except KeyboardInterrupt:
                typer.echo("Stopped.")


@app.command("label")
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
        Path | None, typer.Option(help="Folder of bundles. Default: that of the checkout.", show_default=False)
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
    with _exit_status():
        from monai_proto.apps.monailabel.start_server import start_server

        if modality not in ("ct", "mr"):
            raise ValueError(f"--modality must be ct or mr, got {modality!r}.")
        given = {"models": models, "bundles": bundles, "workspace": workspace, "modality": modality}
        conf = {key: str(value) for key, value in given.items() if value is not None}
        start_server(studies, conf, host, port)


@contextmanager
def _exit_status() -> Iterator[None]:
    """Status 2 for input that does not fit, 1 for what else goes wrong; the message is what a person gets to see."""
    from monai.utils import OptionalImportError

    try:
        yield
    except ValueError as error:
        typer.secho(f"Error: {error}", fg="red", err=True)
        raise typer.Exit(2) from error
    except (OSError, OptionalImportError, RuntimeError) as error:
        typer.secho(f"Error: {error}", fg="red", err=True)
        raise typer.Exit(1) from error


def _parse_peer(text: str) -> Peer:
    from monai_proto.apps.dicom.node import Peer

    title, _, address = text.rpartition("@")
    host, _, port = address.rpartition(":")
    if not (title and host and port.isdigit()):
        raise ValueError(f"--answer-to must be AE@host:port, got {text!r}.")
    return Peer(title, host, int(port))


if __name__ == "__main__":
    app()
