"""Evaluates the best model of a run, case by case."""

from __future__ import annotations

import math
import os
import shutil
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser
from rich.console import Console
from rich.table import Table

from monai_proto.apps.run.case_results import CaseResults
from monai_proto.apps.run.folder import RunFolder
from monai_proto.apps.run.progress import EvaluationProgress, metric_title, wait
from monai_proto.apps.run.screen import everything_logged
from monai_proto.apps.run.workflow import documented_command, label_names, make_workflow
from monai_proto.workflows.errors import error_text, is_wrong_input
from monai_proto.workflows.run_start import describe_data

__all__ = ["evaluate", "evaluate_run", "print_results"]

PHANTOM_WARNING = "Phantoms only: these figures and weights say nothing about patients."
_FILES = ("train.json", "evaluate.json")


def evaluate(run: Path, data: str | None = None, output: Path | None = None, verbose: bool = False) -> Path:
    """
    Evaluate a run's best model, say the result, and write ``metrics.csv``, ``overlays.png`` and what the bundle's own
    evaluation writes.

    Args:
        run: folder of the run.
        data: folder of other data; None for that of the run.
        output: folder for what is written, replaced when an evaluation wrote it; None for one in the run's folder.
        verbose: say which call of MONAI's does the same.

    Returns:
        the folder written.

    Raises:
        ValueError: when there is no run, no model, or the data do not fit.
        RuntimeError: when the evaluation fails otherwise.
    """
    folder = RunFolder(run)
    record = folder.read_record()
    if not folder.model.is_file():
        raise ValueError(f"{folder.path} has no {folder.model.name}: nothing was validated yet.")
    if data is not None and not Path(data).exists():
        raise ValueError(f"--data {data} does not exist.")
    if output is None:
        output = folder.evaluation if data is None else folder.path / f"evaluation_{Path(data).absolute().name}"
    output = output.absolute()
    log = folder.path / "evaluate.log"
    with everything_logged(log) as console:
        try:
            results = evaluate_run(folder, console, data, output, verbose=verbose)
            try:
                with wait(console, "Drawing"):
                    table, picture = results.write_table(output / "metrics.csv"), results.draw(output / "overlays.png")
                print_results(console, results, record["data"] is None and data is None)
            finally:
                results.close()
        except Exception as error:
            kind = ValueError if is_wrong_input(error) else RuntimeError
            raise kind(f"{error_text(error)}\nLog: {log}") from error
        console.print(f"Cases: {table}\nPictures: {picture}")
    return output


def evaluate_run(
    folder: RunFolder,
    console: Console,
    data: str | None = None,
    output: Path | None = None,
    at_end_of_training: bool = False,
    verbose: bool = False,
) -> CaseResults:
    """
    Run the bundle's own evaluation as it lies in the folder of the run.

    Args:
        folder: of the run.
        console: for the person.
        data: folder of other data; None for that of the run.
        output: for what the bundle writes; None for ``evaluation`` in the folder.
        at_end_of_training: whether it was said already which data there are.
        verbose: say which call of MONAI's does the same.

    Returns:
        what to make tables and pictures of; to be closed.
    """
    output = folder.evaluation if output is None else output
    if output.is_dir() and (output / "metrics.csv").is_file() and folder.path in output.parents:
        shutil.rmtree(output)
    overrides: dict[str, Any] = {"ckpt_dir": str(folder.path), "output_dir": str(output)}
    if data is not None:
        overrides["dataset_dir"] = os.path.abspath(data)
    config = ConfigParser.load_config_files([folder.configs / name for name in _FILES])
    with wait(console, "Reading the images"):
        workflow = make_workflow(folder.configs, _FILES, overrides)
        workflow.initialize()
        datalist = workflow.parser.get_parsed_content("datalist")
        if config.get("part") == "test" and not datalist.get("test"):
            overrides["part"] = "validation"
            workflow = make_workflow(folder.configs, _FILES, overrides)
            workflow.initialize()
        if not at_end_of_training:
            phantoms = data is None and folder.read_record()["data"] is None
            console.print(
                describe_data(workflow.parser.get_parsed_content("dataset_dir"), datalist, phantoms, "--data")
            )
        if verbose:
            console.print(f"The same as: {documented_command(folder.configs, _FILES, overrides)}")
        evaluator = workflow.parser.get_parsed_content("validate::evaluator")
    results = CaseResults(lambda count: label_names(workflow, count))
    results.attach(evaluator)
    progress = EvaluationProgress(console, "evaluation of the best model")
    progress.attach(evaluator)
    try:
        with progress.shown():
            workflow.run()
        workflow.finalize()
    except BaseException:
        results.close()
        raise
    return results


def print_results(console: Console, results: CaseResults, phantoms: bool) -> None:
    """Table of the classes, and the other metrics."""
    table = Table(title=f"{metric_title(results.metric)} of {results.cases} cases")
    rows = result_rows(results)
    for index, column in enumerate(rows[0]):
        table.add_column(column, justify="right" if 0 < index < 5 else "left")
    for row in rows[1:]:
        table.add_row(*row)
    console.print(table)
    console.print(", ".join(f"{metric_title(k)} {v:.3f}" for k, v in results.metrics.items() if "," not in k))
    if phantoms:
        console.print(PHANTOM_WARNING)


def result_rows(results: CaseResults) -> list[list[str]]:
    """The table of the classes as text, its head first."""
    scores = results.class_scores()
    if all(math.isnan(score.deviation) for score in scores):
        return [["class", "recall", "images"], *([s.name, f"{s.mean:.3f}", str(s.cases)] for s in scores)]
    rows = [["class", "mean", "sd", "lowest", "cases", "lowest in"]]
    for s in scores:
        figures = ["-" if math.isnan(v) else f"{v:.3f}" for v in (s.mean, s.deviation, s.lowest)]
        rows.append([s.name, *figures, str(s.cases), s.lowest_case])
    return rows
