from __future__ import annotations

import pytest
import typer

from monai_proto.cli.prepare_script import exit_on_error, report_prepared, split_names
from monai_proto.preparation import CaseReport
from monai_proto.preparation.prepared import Prepared


@pytest.mark.parametrize(
    ("error", "status", "printed"),
    [
        (ValueError("--source is not a folder"), 2, "Error: --source is not a folder\n"),
        (OSError("no space left"), 1, "Error: no space left; go on later\n"),
        (KeyError("more"), 1, "Error: 'more'; go on later\n"),
    ],
)
def test_errors_become_a_line_and_an_exit_status(error, status, printed, capsys):
    with pytest.raises(typer.Exit) as raised, exit_on_error(KeyError, hint="; go on later"):
        raise error
    assert raised.value.exit_code == status
    assert capsys.readouterr().err == printed


def test_an_unknown_error_and_an_exit_pass():
    with pytest.raises(RuntimeError, match="a mistake of ours"), exit_on_error():
        raise RuntimeError("a mistake of ours")
    with pytest.raises(typer.Exit) as raised, exit_on_error():
        raise typer.Exit(1)
    assert raised.value.exit_code == 1


def test_report_is_printed_with_what_comes_next(tmp_path, capsys):
    report = CaseReport("liver")
    report_prepared(Prepared(report, tmp_path / "out", also_written=". Key: k", overrides={"num_labelled": 3}))
    printed = capsys.readouterr().out
    assert report.summary().strip() in printed
    assert "summary.txt. Key: k\n" in printed
    assert printed.endswith(f"Train with dataset_dir={tmp_path / 'out'} num_labelled=3\n")
    with pytest.raises(typer.Exit) as raised:
        report_prepared(Prepared(report, lacking="no usable image"))
    assert raised.value.exit_code == 1
    printed = capsys.readouterr()
    assert report.summary().strip() in printed.out
    assert printed.err == "Error: no usable image is left, nothing was written.\n"


def test_names_are_split():
    assert split_names("liver, spleen,") == ["liver", "spleen"]
    assert split_names("0019,100A; PatientSex", ";") == ["0019,100A", "PatientSex"]
    assert split_names(None) is split_names("") is None
