"""``monai-proto bundles``: which there are, a copy of one's own, the archive for MONAI's downloader."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from monai_proto.cli.settings import say_call
from monai_proto.workflows.catalog import BundleInfo, copy_bundle, list_bundles, zip_bundle

__all__ = ["bundles"]

bundles = typer.Typer(
    help="The bundles there are: list, copy, zip.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    add_completion=False,
)

_WEIGHTS = {"phantom": "trained on phantoms: show that it works, answer nothing", "research": "trained on real data"}


@bundles.command("list")
def list_(
    as_json: Annotated[bool, typer.Option("--json", help="For a machine: a list of objects.")] = False,
) -> None:
    """
    One line each: task, modality, classes, what the weights were trained on and their licence.

    Example: monai-proto bundles list
    """
    say_call("monai_proto.workflows.list_bundles()")
    found = list_bundles()
    if as_json:
        typer.echo(json.dumps([{**info._asdict(), "folder": str(info.folder)} for info in found], indent=1))
        return
    for info in found:
        typer.echo(_line(info))


@bundles.command()
def copy(
    bundle: Annotated[str, typer.Argument(metavar="BUNDLE", help="Name or folder.")],
    destination: Annotated[Path, typer.Argument(metavar="DEST", help="New folder, or one that gets the copy inside.")],
) -> None:
    """
    Copy a bundle, to change its configuration and to run it; never overwrites.

    Example: monai-proto bundles copy hippocampus_mri_semisupervised my_bundle
    """
    say_call(f"monai_proto.workflows.copy_bundle({bundle!r}, {str(destination)!r})")
    folder = copy_bundle(bundle, destination)
    typer.echo(f"Copied to {folder}")
    typer.echo(f"Run it: cd {folder} && python -m monai.bundle run --config_file configs/inference.json")


@bundles.command("zip")
def zip_(
    bundle: Annotated[str, typer.Argument(metavar="BUNDLE", help="Name or folder.")],
    destination: Annotated[Path, typer.Argument(metavar="DEST", help="Folder for NAME_vVERSION.zip.")],
) -> None:
    """
    Pack a bundle as `python -m monai.bundle download` takes it; never overwrites.

    Example: monai-proto bundles zip hippocampus_mri_semisupervised dist
    """
    say_call(f"monai_proto.workflows.zip_bundle({bundle!r}, {str(destination)!r})")
    typer.echo(f"Written: {zip_bundle(bundle, destination)}")


def _line(info: BundleInfo) -> str:
    weights = f"weights {_WEIGHTS.get(info.weights, info.weights)} ({info.licence})"
    return f"{info.name}: {info.task}; {info.modality}; {info.classes}; {weights}"
