"""Divides what a command says to a person from everything that its libraries say, which goes into a log file."""

from __future__ import annotations

import logging
import os
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console

__all__ = ["everything_logged"]

_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


@contextmanager
def everything_logged(log: str | os.PathLike) -> Iterator[Console]:
    """
    Within the ``with`` block, what is printed, logged and warned about goes to the end of the file, also by compiled
    libraries that write to the process's standard streams; so does the traceback of an error that ends the block.

    Args:
        log: file; its folder must exist.

    Returns:
        console that writes to where standard output went before. Lines are not broken where that is no terminal.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    screen = _copy_of_stdout()
    streams, descriptors = (sys.stdout, sys.stderr), (os.dup(1), os.dup(2))
    handlers, level = list(logging.root.handlers), logging.root.level
    with open(log, "a", buffering=1, encoding="utf-8", errors="backslashreplace") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        sys.stdout = sys.stderr = file
        handler = logging.StreamHandler(file)
        handler.setFormatter(logging.Formatter(_FORMAT))
        logging.root.handlers = [handler]
        logging.root.setLevel(logging.INFO)
        logging.captureWarnings(True)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("default")
                yield _console(screen)
        except BaseException:
            traceback.print_exc(file=file)
            raise
        finally:
            logging.captureWarnings(False)
            logging.root.handlers = handlers
            logging.root.setLevel(level)
            file.flush()
            for number, descriptor in zip((1, 2), descriptors, strict=True):
                os.dup2(descriptor, number)
                os.close(descriptor)
            sys.stdout, sys.stderr = streams
            screen.flush()
            if screen is not streams[0]:
                screen.close()


def _copy_of_stdout() -> TextIO:
    try:
        return os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1, encoding=sys.stdout.encoding, errors="replace")
    except (OSError, ValueError, AttributeError):  # something without a descriptor, as in a notebook
        return sys.stdout


def _console(screen: TextIO) -> Console:
    is_terminal = screen.isatty()
    # without markup: the names of a user's files may hold brackets
    return Console(
        file=screen, highlight=False, markup=False, emoji=False, soft_wrap=True, width=None if is_terminal else 160
    )
