"""How a command ends when something goes wrong: one line for a person, and an exit status."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer

__all__ = ["exit_status"]


@contextmanager
def exit_status() -> Iterator[None]:
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
