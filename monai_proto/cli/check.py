"""``monai-proto check``: does everything fit, before anything trains?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from monai_proto.cli.settings import say_call, start_threads
from monai_proto.workflows.overrides import parse_overrides

__all__ = ["check"]

_COLOURS = {"ok": "green", "note": "yellow", "error": "red"}


def check(
    bundle: Annotated[str, typer.Argument(metavar="BUNDLE", help="Name or folder.")],
    data: Annotated[
        Path | None, typer.Option(help="Folder with dataset.json. Default: phantoms.", show_default=False)
    ] = None,
    values: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override of train.json; as often as needed.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="Checkpoint that is to fit. Default: the bundle's own.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For a machine: a list of findings.")] = False,
) -> None:
    """
    Configuration, overrides, paths, data list, classes, weights, memory: in seconds, before anything trains.

    Exit status 2 when something does not fit.

    Example: monai-proto check hippocampus_mri_semisupervised --data /data/hippocampus --set num_labelled=10
    """
    overrides = parse_overrides(values or [])
    say_call(f"monai_proto.apps.check.check_bundle({bundle!r}, {str(data) if data else None!r}, {overrides!r})")
    start_threads(quiet=True)
    from monai_proto.apps.check import check_bundle
    from monai_proto.apps.quiet_libraries import quiet_libraries

    with quiet_libraries():
        findings = check_bundle(bundle, data, overrides, weights, "--set {}")
    wrong = [finding for finding in findings if finding.state == "error"]
    if as_json:
        typer.echo(json.dumps([finding._asdict() for finding in findings], indent=1))
    else:
        for finding in findings:
            typer.echo(f"{typer.style(finding.state, fg=_COLOURS[finding.state])} {finding.what}: {finding.text}")
        typer.echo("Everything fits." if not wrong else f"{len(wrong)} thing(s) do not fit.")
    if wrong:
        raise typer.Exit(2)
