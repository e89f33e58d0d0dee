from __future__ import annotations

import logging
import os
import sys
import warnings

import pytest

from monai_proto.apps.run.screen import everything_logged


def test_only_the_console_reaches_the_screen_and_everything_else_the_log(tmp_path, capfd):
    log = tmp_path / "log"
    level, handlers = logging.root.level, list(logging.root.handlers)
    with everything_logged(log) as console:
        console.print("for the person")
        print("printed")
        print("complained", file=sys.stderr)
        os.write(1, b"compiled code\n")
        os.write(2, b"compiled complaint\n")
        logging.getLogger("ignite").info("logged")
        warnings.warn("warned", UserWarning, stacklevel=1)
    said = capfd.readouterr()
    assert said.out == "for the person\n"
    assert said.err == ""
    kept = log.read_text()
    for text in ("printed", "complained", "compiled code", "compiled complaint", "logged", "warned"):
        assert text in kept
    assert "for the person" not in kept
    assert (logging.root.level, logging.root.handlers) == (level, handlers)


def test_an_error_leaves_its_traceback_in_the_log_and_the_streams_as_they_were(tmp_path, capfd):
    with pytest.raises(ZeroDivisionError), everything_logged(tmp_path / "log"):
        1 / 0  # noqa: B018
    print("after")
    assert capfd.readouterr().out == "after\n"
    assert "ZeroDivisionError" in (tmp_path / "log").read_text()
