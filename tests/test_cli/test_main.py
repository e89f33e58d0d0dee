"""The command as a whole: nothing heavy before it is needed, help, exit status, options that may stand anywhere."""

from __future__ import annotations

import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

import monai_proto
from monai_proto.cli import main
from monai_proto.cli.exit_status import exit_status
from monai_proto.cli.settings import global_options_first, say_call, settings

PREPARE = [
    ["prepare", kind, "--help"] for kind in ("decathlon", "nnunet", "totalsegmentator", "dicom", "isic", "boxes")
]
HEAVY = {
    "torch",
    "fire",
    "monai",
    "numpy",
    "nibabel",
    "scipy",
    "matplotlib",
    "SimpleITK",
    "ignite",
    "pooch",
    "rich.progress",
}


def invoke(*words: str):
    return CliRunner().invoke(main.app, list(words))


@pytest.fixture(autouse=True)
def _settings_as_before():
    before = dict(vars(settings))
    yield
    vars(settings).update(before)


@pytest.mark.parametrize(
    "words", [["--help"], ["--version"], *([name, "--help"] for name in main.COMMANDS), *PREPARE], ids=" ".join
)
def test_help_imports_nothing_heavy(words):
    code = (
        "import sys\nfrom monai_proto.cli.main import app\n"
        f"try: app({words!r}, prog_name='monai-proto')\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        f"print('HEAVY', sorted({HEAVY!r} & set(sys.modules)))"
    )
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert finished.stdout.splitlines()[-1] == "HEAVY []"


@pytest.mark.parametrize("name", main.COMMANDS)
def test_every_command_has_an_example(name):
    result = invoke(name, "--help")
    assert result.exit_code == 0, result.output
    assert f"monai-proto {name}" in result.output or name in ("bundles", "prepare"), result.output


def test_examples_of_the_whole_are_there():
    assert "monai-proto check hippocampus_mri_semisupervised" in " ".join(invoke("--help").output.split())


def test_version_is_said():
    result = invoke("--version")
    assert (result.exit_code, result.output) == (0, f"monai-proto {monai_proto.__version__}\n")


def test_a_command_that_does_not_exist_is_usage():
    assert invoke("trainn").exit_code == 2


def test_completion_knows_the_commands():
    environment = {"_MONAI_PROTO_COMPLETE": "complete_bash", "COMP_WORDS": "monai-proto do", "COMP_CWORD": "1"}
    result = CliRunner().invoke(main.app, [], prog_name="monai-proto", env=environment)
    assert result.output.split() == ["doctor"]


def test_options_of_all_commands_may_stand_anywhere():
    words = ["check", "x", "--threads", "2", "--debug", "--set", "a=1", "--threads=3", "--", "--verbose"]
    first = ["--threads", "2", "--debug", "--threads=3", "check", "x", "--set", "a=1", "--", "--verbose"]
    assert global_options_first(words) == first
    result = invoke("bundles", "list", "--verbose")
    assert result.exit_code == 0
    assert "The same as: monai_proto.workflows.list_bundles()" in result.stderr
    assert settings.verbose
    assert not settings.debug


def test_the_same_call_is_said_ready_for_a_shell(capsys):
    settings.verbose = True
    say_call("python", "-m", "monai.bundle", "run", "--output_dir", "a folder")
    assert capsys.readouterr().err == "The same as: python -m monai.bundle run --output_dir 'a folder'\n"
    settings.verbose = False
    say_call("nothing")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (ValueError("--data is not a folder"), 2, "Error: --data is not a folder\n"),
        (RuntimeError("the bundle failed"), 1, "Error: the bundle failed\n"),
        (FileExistsError("x exists already"), 1, "Error: x exists already\n"),
        (TypeError("a mistake of ours"), 1, "--debug shows where"),
    ],
)
def test_errors_become_lines_and_a_status(error, status, said, capsys):
    with pytest.raises(typer.Exit) as raised, exit_status():
        raise error
    assert raised.value.exit_code == status
    printed = capsys.readouterr().err
    assert said in printed
    assert "Traceback" not in printed
    assert len(printed.splitlines()) <= 5


def test_debug_shows_the_error_as_it_is():
    settings.debug = True
    with pytest.raises(ValueError, match="raw"), exit_status():
        raise ValueError("raw")


def test_typers_own_ends_pass():
    with pytest.raises(typer.Exit) as raised, exit_status():
        raise typer.Exit(0)
    assert raised.value.exit_code == 0
    with pytest.raises(typer.BadParameter), exit_status():
        raise typer.BadParameter("usage")
