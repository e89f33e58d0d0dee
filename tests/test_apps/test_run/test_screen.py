from __future__ import annotations

import io
import logging
import os
import sys
import warnings

import pytest
from ignite.engine import Engine

from monai_proto.apps.run import screen
from monai_proto.apps.run.progress import EvaluationProgress, wait
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


def test_bars_on_a_terminal_do_not_bring_back_what_libraries_print(tmp_path, monkeypatch):
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(terminal, "close", lambda: None)
    monkeypatch.setattr(screen, "_copy_of_stdout", lambda: terminal)
    monkeypatch.setenv("TERM", "xterm")
    engine = Engine(lambda *_: print("a library's noise"))
    with everything_logged(tmp_path / "log") as console:
        with wait(console, "Reading"):
            print("more noise")
        progress = EvaluationProgress(console, "evaluation")
        progress.attach(engine)
        with progress.shown():
            engine.run([0, 1])
    assert "evaluation" in terminal.getvalue()
    assert "2/2" in terminal.getvalue()
    assert "noise" not in terminal.getvalue()
    assert (tmp_path / "log").read_text().count("noise") == 3


def test_piped_output_has_no_bars_and_no_codes(tmp_path, capfd):
    with everything_logged(tmp_path / "log") as console:
        with wait(console, "Reading"):
            console.print("[data] of :smile:")
        with EvaluationProgress(console, "evaluation").shown():
            pass
    assert capfd.readouterr().out == "[data] of :smile:\nEvaluation ...\n"
