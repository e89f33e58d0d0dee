"""How a run ends that fails: what was wrong, where, and what would be right, in at most five lines."""

from __future__ import annotations

import errno
import os
import re
import sys
from functools import partial
from types import TracebackType

from monai_proto.extras import extra_of, install_command

__all__ = [
    "DEBUG_VARIABLE",
    "error_lines",
    "error_text",
    "install_error_report",
    "is_foreseen",
    "is_wrong_input",
    "root_cause",
    "runs_monai_bundle",
]

# set to 1 for Python's own tracebacks
DEBUG_VARIABLE = "MONAI_PROTO_DEBUG"
_MOST_LINES = 5
_LONGEST_LINE = 400
# what MONAI and Ignite wrap around an error
_WRAPPERS = re.compile(r"^(Failed to (evaluate|instantiate|resolve|run|load)|applying transform|Exception in applying)")


def root_cause(error: BaseException) -> BaseException:
    """
    The error beneath MONAI's: what a component, an expression or a transform raised.

    An error that was raised ``from`` another to say more is kept: only wrappers are taken off.
    """
    while True:
        beneath = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        if beneath is None or not _WRAPPERS.match(str(error)):
            return error
        error = beneath


def error_lines(error: BaseException) -> list[str]:
    """
    What a person is told: at most five lines.

    Args:
        error: as it was raised, wrapped or not.
    """
    cause = root_cause(error)
    lines = [f"Error: {_message(cause)}", *_remedies(cause)]
    lines = [part for line in lines for part in line.splitlines() if part.strip()]
    if len(lines) > _MOST_LINES:
        lines = [*lines[: _MOST_LINES - 2], "...", lines[-1]]
    return [line if len(line) <= _LONGEST_LINE else f"{line[: _LONGEST_LINE - 4]} ..." for line in lines]


def error_text(error: BaseException) -> str:
    """:func:`error_lines` for a message around it."""
    return "\n".join(error_lines(error)).removeprefix("Error: ")


def is_wrong_input(error: BaseException) -> bool:
    """Whether what was given does not fit (exit status 2), in place of something that went wrong on the way (1)."""
    return isinstance(root_cause(error), ValueError)


def is_foreseen(error: BaseException) -> bool:
    """Whether the error is of a kind that is raised to be read, rather than a mistake in the code."""
    cause = root_cause(error)
    return isinstance(cause, ValueError | RuntimeError | OSError | ImportError | MemoryError)


def runs_monai_bundle() -> bool:
    """Whether this process is ``python -m monai.bundle``, alone or under torchrun."""
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    return spec is not None and spec.name == "monai.bundle.__main__"


def install_error_report(interrupted: str = "Interrupted.") -> None:
    """
    Lets ``python -m monai.bundle`` end with :func:`error_lines` in place of chained tracebacks. ``MONAI_PROTO_DEBUG=1``
    keeps them.

    Args:
        interrupted: said after Ctrl-C.
    """
    if os.environ.get(DEBUG_VARIABLE, "0") in ("", "0"):
        sys.excepthook = partial(_report, interrupted)


def _report(
    interrupted: str, kind: type[BaseException], error: BaseException, _traceback: TracebackType | None
) -> None:
    sys.stdout.flush()
    print(interrupted if issubclass(kind, KeyboardInterrupt) else "\n".join(error_lines(error)), file=sys.stderr)


def _message(error: BaseException) -> str:
    text = str(error).strip()
    if isinstance(error, KeyError):
        return f"there is no entry {text}."
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    package = _missing_package(error)
    if package:
        return f"the package {package} is not installed."
    name = type(error).__name__
    return (
        text
        if text and isinstance(error, ValueError | RuntimeError | OSError | ImportError)
        else f"{name}: {text}".rstrip(": ")
    )


def _remedies(error: BaseException) -> list[str]:
    """What would be right, where the error itself does not say."""
    package = _missing_package(error)
    if package:
        extra = extra_of(package)
        return [f"It comes with: {install_command(extra)}" if extra else f"Install it: pip install {package}"]
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return ["The disk is full: make room, or write to another folder (--output, output_dir, ckpt_dir)."]
    if isinstance(error, PermissionError):
        return ["Write to a folder that is yours (--output, output_dir, ckpt_dir), or ask for the right to this one."]
    if type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error):
        return ["There is too little memory: smaller patch_size or batch_size, or cache_rate 0."]
    return []


def _missing_package(error: BaseException) -> str | None:
    if isinstance(error, ModuleNotFoundError):
        return error.name
    if type(error).__name__ == "OptionalImportError":
        found = re.search(r"^(?:from|import) ([\w.]+)", str(error)) or re.search(
            r"No module named '([\w.]+)'", str(error)
        )
        return found.group(1) if found else None
    return None
