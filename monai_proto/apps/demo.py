"""Trains, evaluates and runs the semi-supervised bundle on phantoms, next to training on the labelled volumes alone."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from monai_proto.apps.demo_figures import draw_learning_curves, draw_overlays
from monai_proto.apps.demo_results import read_case_dice, read_learning_curve
from monai_proto.data import read_datalist
from monai_proto.phantoms import phantom_dataset_dir
from monai_proto.workflows import find_bundle

__all__ = ["run_demo"]

ARMS = {"supervised": "labelled volumes only", "semi_supervised": "with the unlabelled volumes"}
STEPS = 25  # an epoch


def run_demo(output: str | os.PathLike[str], bundle: str | os.PathLike[str], epochs: int, labelled: int) -> None:
    """
    Prints what it does, a table of Dice, where the figures are, and what to do next.

    Args:
        output: folder for everything that is written; what an earlier demo left there is replaced.
        bundle: name or folder of a semi-supervised MRI bundle.
        epochs: of each training.
        labelled: volumes whose label is used.

    Raises:
        ValueError: when there is no such bundle.
        RuntimeError: naming the log, when a run of the bundle fails.
    """
    folder, output = find_bundle(bundle), Path(output).absolute()
    if not (folder / "configs" / "supervised_train.json").is_file():
        raise ValueError(f"The demo takes a semi-supervised bundle; {folder} has no configs/supervised_train.json.")
    console, started = Console(soft_wrap=True), time.perf_counter()
    output.mkdir(parents=True, exist_ok=True)
    dataset_dir = phantom_dataset_dir("mri")
    datalist = read_datalist(dataset_dir)
    console.print(
        f"Demo on PHANTOMS, synthetic MRI crops of a hippocampus-like structure: {len(datalist['training'])} training "
        f"volumes, {labelled} of them labelled, {len(datalist['validation'])} for validation, in {dataset_dir}"
    )
    for number, (arm, title) in enumerate(ARMS.items(), 1):
        console.print(f"{number}/4 Training, {title}: {epochs * STEPS} steps, then its evaluation ...")
        _train_and_evaluate(folder, output / arm, ["supervised_train.json"] * (arm == "supervised"), epochs, labelled)
    segmentations = output / "segmentations"
    console.print("3/4 Segmenting the validation volumes ...")
    model = output / "semi_supervised" / "model.pt"
    _run_bundle(folder, ["inference.json"], output / "inference.log", {"ckpt_path": model, "output_dir": segmentations})
    console.print("4/4 Drawing ...")
    curves = {title: read_learning_curve(output / arm / "train.log", "val_mean_dice") for arm, title in ARMS.items()}
    figures = [
        draw_learning_curves(curves, output / "learning_curve.png"),
        draw_overlays(datalist["validation"], segmentations, output / "overlays.png"),
    ]
    dice = {arm: read_case_dice(output / arm / "evaluation" / "val_mean_dice_raw.csv") for arm in ARMS}
    console.print(_summary(dice, datalist["labels"], labelled))
    console.print(
        f"Took {time.perf_counter() - started:.0f} s. Shown: what the unlabelled volumes bring when few are labelled, "
        "on phantoms; nothing of it holds for patients. See:"
    )
    for figure in figures:
        console.print(f"  {figure}")
    console.print(f"  {segmentations} (NIfTI), {model} (weights)")
    console.print("Next, with your own volumes:", *_next_steps(folder.name), sep="\n  ", markup=False, highlight=False)


def _next_steps(bundle: str) -> list[str]:
    command = (
        "monai-proto" if Path(sys.argv[0]).name == "monai-proto" else f"{shlex.quote(sys.executable)} -m monai_proto"
    )
    return [
        f"{command} bundles list    # what else there is",
        f"{command} check {bundle} --data FOLDER    # does a folder with dataset.json fit?",
        f"{command} --help",
    ]


def _train_and_evaluate(bundle: Path, folder: Path, overlay: list[str], epochs: int, labelled: int) -> None:
    paths = {"ckpt_dir": folder, "output_dir": folder / "log", "num_labelled": labelled, "max_epochs": epochs}
    _run_bundle(bundle, ["train.json", *overlay], folder / "train.log", {**paths, "overwrite": True})
    _run_bundle(
        bundle,
        ["train.json", *overlay, "evaluate.json"],
        folder / "evaluate.log",
        {**paths, "output_dir": folder / "evaluation"},
    )


def _run_bundle(bundle: Path, configs: list[str], log: Path, overrides: dict[str, object]) -> None:
    """``python -m monai.bundle run`` with its output in a log file."""
    log.parent.mkdir(parents=True, exist_ok=True)
    files = [str(bundle / "configs" / name) for name in configs]
    command = [sys.executable, "-m", "monai.bundle", "run", "--config_file", str(files if len(files) > 1 else files[0])]
    command += ["--meta_file", str(bundle / "configs" / "metadata.json")]
    command += ["--logging_file", str(bundle / "configs" / "logging.conf"), "--bundle_root", str(bundle)]
    for name, value in overrides.items():
        command += [f"--{name}", str(value)]
    with log.open("w") as file:
        finished = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, check=False)
    if finished.returncode:
        tail = "\n".join(log.read_text().splitlines()[-3:])
        raise RuntimeError(f"{' '.join(configs)} ended with status {finished.returncode}; see {log}:\n{tail}")


def _summary(dice: dict[str, list[list[float]]], labels: dict[str, str], labelled: int) -> Table:
    """Mean Dice of each structure over the validation volumes, one row per training."""
    names = [labels[str(c)] for c in range(1, len(labels))]
    table = Table(title=f"Phantoms, {labelled} labelled volumes: Dice on {len(dice['supervised'])} validation volumes")
    table.add_column("training on")
    for name in [*names, "mean"]:
        table.add_column(name, justify="right")
    for arm, title in ARMS.items():
        means = [sum(case[c] for case in dice[arm]) / len(dice[arm]) for c in range(len(names))]
        table.add_row(title, *(f"{mean:.3f}" for mean in [*means, sum(means) / len(means)]))
    return table
