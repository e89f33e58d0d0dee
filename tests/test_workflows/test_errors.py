from __future__ import annotations

import errno
import sys

import pytest
from monai.utils import optional_import

from monai_proto.workflows import error_lines, root_cause
from monai_proto.workflows.errors import DEBUG_VARIABLE, install_error_report, is_foreseen, is_wrong_input


def wrapped(error: Exception) -> Exception:
    """As MONAI hands on what an expression of a configuration raised."""
    try:
        try:
            try:
                raise error
            except Exception as inner:
                raise RuntimeError("Failed to evaluate ConfigExpression:\n$@datalist") from inner
        except Exception as middle:
            raise RuntimeError("Failed to instantiate component") from middle
    except RuntimeError as outer:
        return outer


def test_what_monai_wraps_is_unwrapped():
    cause = ValueError("num_labelled must be in 1 .. 24, got 99.")
    assert root_cause(wrapped(cause)) is cause
    assert error_lines(wrapped(cause)) == ["Error: num_labelled must be in 1 .. 24, got 99."]
    assert is_wrong_input(wrapped(cause))


def test_an_error_that_says_more_than_its_cause_is_kept():
    error = ValueError("checkpoint x.pt does not fit: size mismatch")
    error.__cause__ = RuntimeError("size mismatch")
    assert root_cause(wrapped(error)) is error


def test_long_messages_are_cut_to_five_lines():
    lines = error_lines(ValueError("\n".join(f"key {index}" for index in range(210))))
    assert len(lines) == 5
    assert lines[0] == "Error: key 0"
    assert lines[-1] == "key 209"
    assert len(error_lines(ValueError("x" * 10_000))[0]) <= 400


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/full"), "The disk is full"),
        (PermissionError(errno.EACCES, "Permission denied", "/root/x"), "a folder that is yours"),
        (MemoryError("can't allocate memory: you tried to allocate 99 bytes"), "too little memory"),
    ],
)
def test_what_would_be_right_is_said(error, line):
    assert any(line in said for said in error_lines(wrapped(error)))
    assert is_foreseen(error)
    assert not is_wrong_input(error)


def test_a_missing_package_is_answered_by_the_line_that_installs_it(monkeypatch):
    monkeypatch.setattr("monai_proto.workflows.errors.extra_of", {"no_timm_here": "classification"}.get)
    module, _ = optional_import("no_timm_here")
    with pytest.raises(ImportError) as raised:
        _ = module.create_model
    first, second = error_lines(wrapped(raised.value))
    assert first == "Error: the package no_timm_here is not installed."
    assert second.startswith("It comes with: pip install")
    assert "[classification]" in second
    with pytest.raises(ImportError) as raised:
        import another_package_that_nobody_has  # noqa: F401
    assert error_lines(raised.value)[1] == "Install it: pip install another_package_that_nobody_has"


def test_an_interruption_says_what_is_saved(monkeypatch, capsys):
    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
    monkeypatch.setenv(DEBUG_VARIABLE, "1")
    install_error_report("saved in /run")
    assert sys.excepthook is sys.__excepthook__
    monkeypatch.delenv(DEBUG_VARIABLE)
    install_error_report("saved in /run")
    sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert capsys.readouterr().err == "saved in /run\n"
    sys.excepthook(ValueError, wrapped(ValueError("no such folder")), None)
    assert capsys.readouterr().err == "Error: no such folder\n"


def test_a_mistake_of_ours_is_named_by_its_type():
    assert error_lines(TypeError("f() takes 1 argument")) == ["Error: TypeError: f() takes 1 argument"]
    assert error_lines(KeyError("label")) == ["Error: there is no entry 'label'."]
    assert not is_foreseen(TypeError("f"))
