"""Trains a bundle into the folder of a run."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import torch
from monai.bundle import ConfigParser, ConfigWorkflow
from rich.console import Console

from monai_proto.apps.run.evaluation import evaluate_run, print_results
from monai_proto.apps.run.folder import RunFolder
from monai_proto.apps.run.history import RunHistory
from monai_proto.apps.run.progress import TrainingProgress, wait
from monai_proto.apps.run.record import describe_run
from monai_proto.apps.run.screen import everything_logged
from monai_proto.apps.run.summary import draw_curves, resume_command, write_summary
from monai_proto.apps.run.train_settings import TrainSettings
from monai_proto.apps.run.workflow import documented_command, label_names, make_workflow
from monai_proto.workflows.errors import error_text, is_wrong_input
from monai_proto.workflows.run_start import describe_data

__all__ = ["RunStopped", "train"]

_KEPT_CONFIGS = ("evaluate.json", "inference.json", "metadata.json")


class RunStopped(BaseException):
    """
    Somebody stopped the run. No ``KeyboardInterrupt``, which MONAI's evaluation of expressions would make Python
    remember, and end the process by a signal whatever comes after.
    """


def train(settings: TrainSettings) -> RunFolder:
    """
    Train, evaluate the best model, and write what explains the run.

    Returns:
        the folder of the run.

    Raises:
        ValueError: when the output folder holds a run, an override or the data do not fit.
        RuntimeError: when the training fails otherwise.
        RunStopped: when Ctrl-C or SIGTERM stopped it; it was said what is saved.
    """
    settings.check()
    folder = RunFolder(settings.output)
    earlier = folder.open_for_training(settings.resume, settings.overwrite)
    if earlier is not None:
        settings = _continued(settings, earlier)
    with everything_logged(folder.log) as console, _stopped_by_signals():
        try:
            if settings.processes == 1:
                train_in_process(settings, console)
            else:
                _train_in_processes(settings, folder, console)
            results = evaluate_run(folder, console, at_end_of_training=True)
            try:
                with wait(console, "Drawing"):
                    draw_curves(folder)
                    results.write_table(folder.metrics)
                    results.draw(folder.overlays)
                    next_command = write_summary(folder, results)
                print_results(console, results, folder.read_record()["data"] is None)
            finally:
                results.close()
        except RunStopped:
            console.print(_what_is_saved(folder, "Stopped."))
            raise
        except Exception as error:
            _fail(error, folder)
        console.print(f"Everything is in {folder.path}; read {folder.summary.name} first.")
        console.print(f"Next: {next_command}")
    return folder


def train_in_process(settings: TrainSettings, console: Console) -> None:
    """
    The training alone, in this process, which may be one of several.

    Args:
        settings: see :class:`TrainSettings`; ``output`` exists.
        console: for the person.
    """
    folder = RunFolder(settings.output)
    is_first = int(os.environ.get("RANK", "0")) == 0
    with wait(console, "Starting"):
        workflow = _workflow(settings, folder)
        workflow.initialize()
        datalist = workflow.parser.get_parsed_content("datalist")
        dataset_dir = workflow.parser.get_parsed_content("dataset_dir")
        console.print(describe_data(dataset_dir, datalist, settings.data is None, "--data"))
        if settings.verbose:
            files = [file.name for file in settings.files()]
            same = documented_command(settings.bundle / "configs", files, _overrides(settings, folder))
            console.print(f"The same as: {same}")
        if is_first:
            _record_start(settings, folder, workflow, datalist)
    with wait(console, "Reading the images"):
        trainer = workflow.parser.get_parsed_content("train::trainer")
        evaluator = workflow.parser.get_parsed_content("validate::evaluator")
    classes: list[str] = []

    def names(count: int) -> list[str]:
        classes[:] = label_names(workflow, count)
        return classes

    history = RunHistory(folder.history, folder.model, names, is_first)
    history.attach(trainer, evaluator)
    progress = TrainingProgress(console, history)
    if is_first:
        progress.attach(trainer, evaluator)
    started = time.monotonic()
    with progress.shown():
        workflow.run()
    workflow.finalize()
    if is_first:
        record = folder.read_record()
        record["classes"] = classes or names(1)
        record["epochs"] = trainer.state.epoch
        record["seconds"] = round(record.get("seconds", 0) + time.monotonic() - started, 1)
        record["finished"] = datetime.now(timezone.utc).isoformat(timespec="seconds")
        folder.write_record(record)


def run_rank(settings_file: str) -> None:
    """One of several processes, started by torchrun: ``python -m monai_proto.apps.run.training SETTINGS``."""
    content = json.loads(Path(settings_file).read_text(encoding="utf-8"))
    settings = TrainSettings(**{**content, "bundle": Path(content["bundle"]), "output": Path(content["output"])})
    folder = RunFolder(settings.output)
    with everything_logged(folder.log) as console, _stopped_by_signals():
        try:
            train_in_process(settings, console if int(os.environ["RANK"]) == 0 else Console(quiet=True))
        except Exception as error:
            _error_file(folder).write_text(error_text(error), encoding="utf-8")
            raise


def _train_in_processes(settings: TrainSettings, folder: RunFolder, console: Console) -> None:
    """With torchrun; its first process writes to this one's screen."""
    settings_file = folder.path / "processes.json"
    settings_file.write_text(json.dumps(dataclasses.asdict(settings), default=str), encoding="utf-8")
    _error_file(folder).unlink(missing_ok=True)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc_per_node", str(settings.processes), "-m", "monai_proto.apps.run.training", str(settings_file)]
    threads = max(1, torch.get_num_threads() // settings.processes)
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    try:
        with subprocess.Popen(command, env=environment, stdout=console.file) as launcher:
            try:
                status = launcher.wait()
            except RunStopped:
                launcher.terminate()  # torchrun ends its processes
                raise
        if status:
            told = _error_file(folder)
            reason = told.read_text(encoding="utf-8") if told.is_file() else f"see {folder.log}"
            raise RuntimeError(f"One of {settings.processes} processes failed: {reason}")
    finally:
        settings_file.unlink(missing_ok=True)
        _error_file(folder).unlink(missing_ok=True)


def _overrides(settings: TrainSettings, folder: RunFolder) -> dict[str, Any]:
    data = {} if settings.data is None else {"dataset_dir": os.path.abspath(settings.data)}
    return {
        "bundle_root": str(settings.bundle),
        "ckpt_dir": str(folder.path),
        "output_dir": str(folder.bundle_output),
        "resume": settings.resume,
        "overwrite": not settings.resume,  # whether a run may be replaced was decided when its folder was opened
        **data,
        **settings.overrides,
    }


def _workflow(settings: TrainSettings, folder: RunFolder) -> ConfigWorkflow:
    files = [file.name for file in settings.files()]
    return make_workflow(settings.bundle / "configs", files, _overrides(settings, folder))


def _continued(settings: TrainSettings, record: dict[str, Any]) -> TrainSettings:
    """What the run was started with holds, unless this command says otherwise."""
    data = record["data"] if settings.data is None else settings.data
    return dataclasses.replace(settings, data=data, overrides={**record["overrides"], **settings.overrides})


def _record_start(settings: TrainSettings, folder: RunFolder, workflow: ConfigWorkflow, datalist: Any) -> None:
    parser = workflow.parser
    record = describe_run(
        settings.bundle,
        None if settings.data is None else os.path.abspath(settings.data),
        str(parser.get_parsed_content("dataset_dir")),
        datalist,
        parser.get_parsed_content("seed"),
        parser.get_parsed_content("device"),
        settings.overrides,
        settings.processes,
        settings.command,
    )
    if settings.resume:
        before = folder.read_record()
        if before.get("datalist_sha256") != record["datalist_sha256"]:
            raise ValueError(
                f"--resume: the data list is not the one that {folder.path} was trained on: {record['data_counts']}, "
                f"before {before.get('data_counts')}."
            )
        record["started"], record["seconds"] = before["started"], before.get("seconds", 0)
        record["resumed"] = [*before.get("resumed", []), datetime.now(timezone.utc).isoformat(timespec="seconds")]
    folder.configs.mkdir(exist_ok=True)
    for name in _KEPT_CONFIGS:
        if (settings.bundle / "configs" / name).is_file():
            shutil.copyfile(settings.bundle / "configs" / name, folder.configs / name)
    single = ConfigParser.load_config_file(settings.bundle / "configs" / "train.json")
    resolved = ConfigParser(single)
    for key in ("bundle_root", "ckpt_dir", "output_dir", "dataset_dir", *settings.overrides):
        if key in resolved and key in parser:
            resolved[key] = parser[key]
    ConfigParser.export_config_file(resolved.get(), str(folder.configs / "train.json"), indent=4)
    for overlay in settings.files()[1:]:
        shutil.copyfile(overlay, folder.configs / overlay.name)
    folder.write_record(record)


def _fail(error: Exception, folder: RunFolder) -> NoReturn:
    """
    Raises:
        ValueError: when input did not fit.
        RuntimeError: for anything else, memory that did not suffice for instance.
    """
    kind = ValueError if is_wrong_input(error) else RuntimeError
    saved = _what_is_saved(folder, "") if folder.record_file.is_file() else f"Log: {folder.log}."
    raise kind(f"{error_text(error)}\n{saved}".strip()) from error


def _what_is_saved(folder: RunFolder, said: str) -> str:
    if not folder.last.is_file():
        return f"{said} Nothing is saved: the first epoch was not finished. Log: {folder.log}.".strip()
    best = f"the best model ({folder.model.name})" if folder.model.is_file() else "no model yet: nothing was validated"
    return (
        f"{said} Saved in {folder.path}: the state after epoch {saved_epoch(folder)} ({folder.last.name}) and {best}.\n"
        f"Go on with: {resume_command(folder)}"
    ).strip()


def saved_epoch(folder: RunFolder) -> int:
    """Epoch whose end ``last.pt`` is the state of."""
    trainer = torch.load(folder.last, map_location="cpu", weights_only=True)["trainer"]
    return int(trainer["epoch"]) if "epoch" in trainer else int(trainer["iteration"]) // int(trainer["epoch_length"])


def _error_file(folder: RunFolder) -> Path:
    return folder.path / "error.txt"


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """Ctrl-C and SIGTERM raise :class:`RunStopped`, in the main thread, which alone receives signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, _stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop(number: int, _: FrameType | None) -> NoReturn:
    raise RunStopped(signal.Signals(number).name)


if __name__ == "__main__":
    run_rank(sys.argv[1])
