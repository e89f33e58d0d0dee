"""What ``monai-proto prepare`` says and how it ends: one report, one form of error, one exit status."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console

if TYPE_CHECKING:  # --help is not to wait for torch
    from monai_proto.preparation.prepared import Prepared

__all__ = ["exit_on_error", "option", "report_prepared", "split_names"]


def option(help: str, panel: str, *flags: str, **limits: Any) -> Any:
    """An option of a script, under a heading of its ``--help``; what it says of the default stands in ``help``."""
    return typer.Option(*flags, help=help, rich_help_panel=panel, show_default=False, **limits)


@contextmanager
def exit_on_error(*more: type[BaseException], hint: str = "") -> Iterator[None]:
    """
    Turns errors into a line on stderr and an exit status: 2 for a wrong argument or input (``ValueError``), 1 for what
    the machine did (``OSError``).

    Args:
        more: further errors of the second kind.
        hint: said after an error of the second kind.
    """
    second_kind: tuple[type[BaseException], ...] = (OSError, *more)
    try:
        yield
    except ValueError as error:
        typer.secho(f"Error: {error}", fg="red", err=True)
        raise typer.Exit(2) from error
    except second_kind as error:
        typer.secho(f"Error: {error}{hint}", fg="red", err=True)
        raise typer.Exit(1) from error


def report_prepared(prepared: Prepared) -> None:
    """
    Prints what became of every case, and how to train on what was written; ends with status 1 where nothing was.

    Args:
        prepared: what the preparation came to.
    """
    Console(soft_wrap=True).print(prepared.report.summary(), markup=False, highlight=False)
    if prepared.output is None:
        typer.secho(f"Error: {prepared.lacking} is left, nothing was written.", fg="red", err=True)
        raise typer.Exit(1)
    typer.echo(f"Written to {prepared.output}: dataset.json, report.csv, summary.txt{prepared.also_written}")
    options = "".join(f" {name}={value}" for name, value in prepared.overrides.items())
    typer.echo(f"Train with dataset_dir={prepared.output.absolute()}{options}")


def split_names(text: str | None, separator: str = ",") -> list[str] | None:
    """Names of an option such as ``liver,spleen``; None where it is not given."""
    return [name.strip() for name in text.split(separator) if name.strip()] if text else None
