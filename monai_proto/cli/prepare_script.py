"""What the scripts in ``data_scripts/`` say and how they end: one report, one form of error, one exit status."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console

if TYPE_CHECKING:  # the scripts' --help is not to wait for torch
    from monai_proto.preparation.case_report import CaseReport

__all__ = ["exit_on_error", "option", "report_nothing_usable", "report_written", "split_names"]


def option(help: str, panel: str, *flags: str, **limits: Any) -> Any:
    """An option of a script, under a heading of its ``--help``; what it says of the default stands in ``help``."""
    return typer.Option(*flags, help=help, rich_help_panel=panel, show_default=False, **limits)


@contextmanager
def exit_on_error(*more: type[Exception], hint: str = "") -> Iterator[None]:
    """
    Turns errors into a line on stderr and an exit status: 2 for a wrong argument or input (``ValueError``), 1 for what
    the machine did (``OSError``).

    Args:
        more: further errors of the second kind.
        hint: said after an error of the second kind.
    """
    second_kind: tuple[type[Exception], ...] = (OSError, *more)
    try:
        yield
    except ValueError as error:
        typer.secho(f"Error: {error}", fg="red", err=True)
        raise typer.Exit(2) from error
    except second_kind as error:
        typer.secho(f"Error: {error}{hint}", fg="red", err=True)
        raise typer.Exit(1) from error


def report_nothing_usable(report: CaseReport, what: str) -> None:
    """
    Prints what became of every case, and ends with status 1.

    Args:
        report: of all cases.
        what: is missing, for instance ``"no usable image"``.
    """
    _print_summary(report)
    typer.secho(f"Error: {what} is left, nothing was written.", fg="red", err=True)
    raise typer.Exit(1)


def report_written(report: CaseReport, output: Path, more: str = "", **overrides: object) -> None:
    """
    Prints what became of every case, and how to train on what was written.

    Args:
        report: of all cases.
        output: folder of the data list.
        more: said of further output.
        overrides: of the bundle, beside ``dataset_dir``.
    """
    _print_summary(report)
    typer.echo(f"Written to {output}: dataset.json, report.csv, summary.txt{more}")
    options = "".join(f" {name}={value}" for name, value in overrides.items())
    typer.echo(f"Train with dataset_dir={output.absolute()}{options}")


def split_names(text: str | None, separator: str = ",") -> list[str] | None:
    """Names of an option such as ``liver,spleen``; None where it is not given."""
    return [name.strip() for name in text.split(separator) if name.strip()] if text else None


def _print_summary(report: CaseReport) -> None:
    Console(soft_wrap=True).print(report.summary(), markup=False, highlight=False)
