"""``monai-proto dicom-seg`` and ``dicom-node``: a DICOM series in, a DICOM SEG out."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from monai_proto.cli.settings import say_call
from monai_proto.workflows.catalog import find_bundle

if TYPE_CHECKING:
    from monai_proto.apps.dicom.node import Peer

__all__ = ["dicom_node", "dicom_seg"]


def dicom_seg(
    bundle: Annotated[str, typer.Option(help="Segmentation bundle: name or folder.")],
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

    Example: monai-proto dicom-seg --bundle hippocampus_mri_semisupervised --input series --output result
    """
    from monai_proto.apps.quiet_libraries import quiet_libraries

    with quiet_libraries():
        from monai_proto.apps.dicom.series_segmentation import segment_series

        say_call(f"monai_proto.apps.dicom.segment_series({bundle!r}, {str(source)!r}, {str(output)!r}, ...)")
        result = segment_series(find_bundle(bundle), source, output, series, nifti, overview, checkpoint)
    for name, voxels in result.voxels.items():
        typer.echo(f"{name}: {voxels} voxels")
    for note in result.notes:
        typer.echo(f"Note: {note}")
    typer.echo(f"Written to {result.output}: {', '.join(sorted(path.name for path in result.output.iterdir()))}")


def dicom_node(
    bundle: Annotated[str, typer.Option(help="Segmentation bundle: name or folder.")],
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

    with quiet_libraries():
        from monai_proto.apps.bundle_segmentation import read_bundle_metadata
        from monai_proto.apps.dicom.node import DicomNode
        from monai_proto.apps.dicom.series_segmentation import SEG_NAME, segment_series

        folder_of_bundle = find_bundle(bundle)

        def segment(series: Path, result: Path) -> Path:
            segment_series(folder_of_bundle, series, result, checkpoint=checkpoint)
            return result / SEG_NAME

        read_bundle_metadata(folder_of_bundle, checkpoint)  # said now, not when the first series has come
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


def _parse_peer(text: str) -> Peer:
    from monai_proto.apps.dicom.node import Peer

    title, _, address = text.rpartition("@")
    host, _, port = address.rpartition(":")
    if not (title and host and port.isdigit()):
        raise ValueError(f"--answer-to must be AE@host:port, got {text!r}.")
    return Peer(title, host, int(port))
