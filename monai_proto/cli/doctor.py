"""``monai-proto doctor``: what is installed, what the machine offers, where things lie."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from monai_proto.cli.settings import say_call

__all__ = ["doctor"]


def doctor(as_json: Annotated[bool, typer.Option("--json", help="For a machine: one object.")] = False) -> None:
    """
    Versions, devices, threads, precision, extras and what a missing one would bring, data and cache folders.

    Example: monai-proto doctor --json
    """
    from monai_proto.apps.doctor import examine

    say_call("monai_proto.apps.doctor.examine()")
    found = examine()
    if as_json:
        typer.echo(json.dumps(found, indent=1))
        return
    for heading, lines in _pages(found).items():
        typer.secho(heading, bold=True)
        for line in lines:
            typer.echo(f"  {line}")


def _pages(found: dict[str, Any]) -> dict[str, list[str]]:
    threads, extras = found["threads"], found["extras"]
    limit = threads["cgroup_cores"]
    cores = f"{threads['physical_cores']} physical cores" + (f", the container may use {limit:g}" if limit else "")
    return {
        "Versions": [f"{name} {version or 'not installed'}" for name, version in found["versions"].items()],
        "Devices": [
            f"{device['name']} ({device['kind']}): bfloat16 in hardware {_yes(device['bfloat16'])}"
            + (f", AVX-512 {_yes(device['avx512'])}" if "avx512" in device else "")
            for device in found["devices"]
        ],
        "Threads": [f"{threads['chosen']} ({threads['reason']}); {cores}"],
        "Extras": [
            f"{name}: installed" if not extra["missing"] else f"{name}: no; {extra['brings']}\n    {extra['install']}"
            for name, extra in extras.items()
        ],
        "Data": [f"MONAI_PROTO_DATA: {found['data']['folder'] or 'not set'}", *found["data"]["found"]],
        "Folders": [
            f"{name}: {folder['path']} ({folder['bytes'] / 1e6:.0f} MB)" for name, folder in found["folders"].items()
        ],
    }


def _yes(answer: bool) -> str:
    return "yes" if answer else "no"
