"""The console command ``monai-proto``; a command's module is imported when the command is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from monai_proto import __version__
from monai_proto.cli.exit_status import exit_status
from monai_proto.cli.settings import global_options_first, settings

__all__ = ["COMMANDS", "app"]

_START, _WORK, _BESIDE = "Start here", "From data to a result", "In annotation and beside a PACS"

# name -> module and attribute (a function, or a typer app of sub-commands), heading in --help
COMMANDS = {
    "doctor": ("monai_proto.cli.doctor:doctor", _START),
    "demo": ("monai_proto.cli.demo:demo", _START),
    "bundles": ("monai_proto.cli.bundles:bundles", _START),
    "prepare": ("monai_proto.cli.prepare:prepare", _WORK),
    "check": ("monai_proto.cli.check:check", _WORK),
    "train": ("monai_proto.cli.train:train", _WORK),
    "evaluate": ("monai_proto.cli.evaluate:evaluate", _WORK),
    "predict": ("monai_proto.cli.predict:predict", _WORK),
    "explain": ("monai_proto.cli.predict:explain", _WORK),
    "label": ("monai_proto.cli.label:label", _BESIDE),
    "dicom-seg": ("monai_proto.cli.dicom:dicom_seg", _BESIDE),
    "dicom-node": ("monai_proto.cli.dicom:dicom_node", _BESIDE),
}


class _Commands(TyperGroup):
    """The commands of :data:`COMMANDS`, each ending as :func:`exit_status` says."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        place, panel = COMMANDS[cmd_name]
        module, _, attribute = place.partition(":")
        found = getattr(import_module(module), attribute)
        if not isinstance(found, typer.Typer):
            single = typer.Typer(rich_markup_mode="markdown", pretty_exceptions_enable=False, add_completion=False)
            single.command(cmd_name)(found)
            found = single
        command: Any = typer.main.get_command(found)
        command.name, command.rich_help_panel = cmd_name, panel
        return command

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, global_options_first(args))

    def invoke(self, ctx: Any) -> Any:
        with exit_status():
            return super().invoke(ctx)


app = typer.Typer(cls=_Commands, no_args_is_help=True, rich_markup_mode="markdown", pretty_exceptions_enable=False)


def _say_version(asked: bool) -> None:
    if asked:
        typer.echo(f"monai-proto {__version__}")
        raise typer.Exit


@app.callback()
def _commands(
    version: Annotated[
        bool, typer.Option("--version", help="Say the version, and end.", callback=_say_version, is_eager=True)
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Errors with Python's traceback.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Say the call of monai.bundle or of the library that does the same.")
    ] = False,
    threads: Annotated[
        int | None, typer.Option(help="Threads on the CPU. Default: physical cores that are free.", min=1)
    ] = None,
) -> None:
    """
    Medical-image models from few labels, explained: semi-supervised segmentation, prototypes, SAM from boxes.

    A BUNDLE is a name that `monai-proto bundles list` shows, or a folder. `--debug`, `--verbose` and `--threads` may
    stand anywhere. Exit status: 0; 1 what went wrong on the way; 2 input that does not fit.

    Examples:

        monai-proto doctor

        monai-proto demo --output demo_output

        monai-proto bundles copy hippocampus_mri_semisupervised my_bundle

        monai-proto check hippocampus_mri_semisupervised --data /data/hippocampus --set num_labelled=10

        monai-proto train hippocampus_mri_semisupervised --data /data/hippocampus --output runs/first

        monai-proto predict runs/first --input /data/new --output masks
    """
    settings.debug, settings.verbose, settings.threads = debug, verbose, threads
