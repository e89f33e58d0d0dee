"""The options that every command has: traceback, equivalent call, threads."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable
from dataclasses import dataclass

import typer

__all__ = ["GLOBAL_FLAGS", "Settings", "say_call", "settings", "start_threads"]

# where they stand on the command line does not matter; the number of words that follow each
GLOBAL_FLAGS = {"--debug": 0, "--verbose": 0, "--threads": 1}


@dataclass
class Settings:
    """Of this call of the command; ``threads`` is None where a number is to be chosen."""

    debug: bool = False
    verbose: bool = False
    threads: int | None = None


settings = Settings()


def say_call(*words: str | os.PathLike[str]) -> None:
    """With ``--verbose``: the documented call that does the same, as one line for a shell or for Python."""
    if settings.verbose:
        text = os.fspath(words[0]) if len(words) == 1 else shlex.join(os.fspath(word) for word in words)
        typer.echo(f"The same as: {text}", err=True)


def start_threads(quiet: bool = False) -> int:
    """
    Choose the number of threads (``--threads``, else by what the machine offers), for this process and its children.

    Args:
        quiet: whether to keep the choice to oneself; it is said otherwise.

    Raises:
        ValueError: when ``--threads`` is below 1.
    """
    from monai_proto.machine import use_threads

    choice = use_threads(settings.threads)
    if not quiet:
        typer.echo(f"Threads: {choice.number} ({choice.reason})", err=True)
    return choice.number


def global_options_first(words: Iterable[str]) -> list[str]:
    """The words of a command line, those of :data:`GLOBAL_FLAGS` first; ``--`` ends the search for them."""
    first: list[str] = []
    rest: list[str] = []
    words = iter(words)
    for word in words:
        if word == "--":
            rest += [word, *words]
        elif word.partition("=")[0] in GLOBAL_FLAGS:
            following = GLOBAL_FLAGS[word.partition("=")[0]] if "=" not in word else 0
            first += [word, *(value for _, value in zip(range(following), words, strict=False))]
        else:
            rest.append(word)
    return first + rest
