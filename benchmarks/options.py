"""Checks of command-line options that the benchmarks share."""

from __future__ import annotations

from collections.abc import Iterable

import typer

__all__ = ["known_names", "require_choice"]


def known_names(given: str, default: Iterable[str], known: Iterable[str], kind: str = "methods") -> list[str]:
    """
    Names out of a comma-separated option; the default ones where it is empty.

    Raises:
        typer.BadParameter: when one is unknown.
    """
    names, known = given.split(",") if given else list(default), list(known)
    unknown = [name for name in names if name not in known]
    if unknown:
        raise typer.BadParameter(f"unknown {kind} {unknown}; known are {', '.join(known)}")
    return names


def require_choice(option: str, value: str, choices: Iterable[str]) -> None:
    """
    Raises:
        typer.BadParameter: when the value is not among the choices.
    """
    choices = list(choices)
    if value not in choices:
        raise typer.BadParameter(f"{option} must be one of {', '.join(choices)}, got {value!r}")
