"""``monai-proto demo``: trained, evaluated and shown on phantoms within minutes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from monai_proto.cli.settings import say_call, start_threads

__all__ = ["demo"]


def demo(
    output: Annotated[
        Path | None,
        typer.Option(help="Folder for everything that is written. Default: with the user's data.", show_default=False),
    ] = None,
    bundle: Annotated[
        str, typer.Option(help="A bundle of its kind: name or folder.", show_default=True)
    ] = "hippocampus_mri_semisupervised",
    epochs: Annotated[int, typer.Option(help="Epochs of 25 steps of each training.", min=1)] = 10,
    labelled: Annotated[int, typer.Option(help="Labelled volumes.", min=1)] = 3,
) -> None:
    """
    Train a bundle on phantoms with and without the unlabelled volumes, evaluate, segment, draw. About 3 minutes.

    Phantoms are synthetic MRI crops that are made here: nothing is downloaded, and nothing is learnt of patients. What
    an earlier demo wrote into the folder is replaced.

    Example: monai-proto demo --output demo_output
    """
    start_threads()
    from monai_proto.apps.demo import run_demo
    from monai_proto.folders import runs_dir

    output = output or runs_dir() / "demo"
    say_call(f"monai_proto.apps.demo.run_demo({str(output)!r}, {bundle!r}, {epochs}, {labelled})")
    run_demo(output, bundle, epochs, labelled)
