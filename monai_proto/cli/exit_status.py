"""How a command ends when something goes wrong: at most five lines for a person, and an exit status."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from monai_proto.cli.settings import settings
from monai_proto.workflows.errors import error_lines, is_foreseen, is_wrong_input

__all__ = ["exit_status"]


@contextmanager
def exit_status() -> Iterator[None]:
    """
    Status 2 for input that does not fit, 1 for what else goes wrong; the message is what a person gets to see. With
    ``--debug`` the error is raised as it is. Every command of ``monai-proto`` runs in it.
    """
    try:
        yield
    except Exception as error:
        # Typer's own (usage, exit, abort) know how to end
        if settings.debug or hasattr(error, "exit_code") or isinstance(error, typer.Abort):
            raise
        first, *more = error_lines(error)
        typer.secho("\n".join([first, *more]), fg="red", err=True)
        if not is_foreseen(error):
            typer.secho("This was not foreseen: the same command with --debug shows where it happened.", err=True)
        raise typer.Exit(2 if is_wrong_input(error) else 1) from error
