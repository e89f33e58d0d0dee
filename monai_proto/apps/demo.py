"""
Trains, evaluates and runs the semi-supervised bundle on phantoms, next to training on the labelled volumes alone.

    python -m monai_proto.apps.demo --output demo_output
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from monai_proto.apps.demo_figures import draw_learning_curves, draw_overlays
from monai_proto.apps.demo_results import read_case_dice, read_learning_curve
from monai_proto.data import read_datalist
from monai_proto.phantoms import phantom_dataset_dir

__all__ = ["main"]

BUNDLE = "hippocampus_mri_semisupervised"
ARMS = {"supervised": "labelled volumes only", "semi_supervised": "with the unlabelled volumes"}


def main(
    output: Annotated[Path, typer.Option(help="Folder for everything that the demo writes.")] = Path("demo_output"),
    bundles: Annotated[Path, typer.Option(help="Folder of the bundles in the checkout.")] = Path("bundles"),
    epochs: Annotated[int, typer.Option(help="Epochs of 25 steps of each training.")] = 10,
    labelled: Annotated[int, typer.Option(help="Labelled volumes.")] = 3,
) -> None:
    """Run the demo; prints a summary and says where the figures are."""
    bundle = (bundles / BUNDLE).resolve()
    if not (bundle / "configs" / "train.json").is_file():
        raise typer.BadParameter(f"--bundles must be the checkout's folder of bundles, got {bundles}")
    console, started = Console(), time.perf_counter()
    output = output.resolve()
    dataset_dir = phantom_dataset_dir("mri")
    datalist = read_datalist(dataset_dir)
    console.print(
        f"Phantoms: {len(datalist['training'])} training volumes, {labelled} of them labelled, "
        f"{len(datalist['validation'])} for validation, in {dataset_dir}"
    )
    for arm, title in ARMS.items():
        folder = output / arm
        overlay = ["supervised_train.json"] if arm == "supervised" else []
        console.print(f"Training, {title}: {epochs * 25} steps ...")
        paths = {"ckpt_dir": folder, "output_dir": folder / "log", "num_labelled": labelled, "max_epochs": epochs}
        _run_bundle(bundle, ["train.json", *overlay], folder / "train.log", paths)
        _run_bundle(
            bundle,
            ["train.json", *overlay, "evaluate.json"],
            folder / "evaluate.log",
            {**paths, "output_dir": folder / "evaluation"},
        )
    segmentations = output / "segmentations"
    console.print("Segmenting the validation volumes ...")
    _run_bundle(
        bundle,
        ["inference.json"],
        output / "inference.log",
        {"ckpt_path": output / "semi_supervised" / "model.pt", "output_dir": segmentations},
    )
    labels = datalist["labels"]
    dice = {arm: read_case_dice(output / arm / "evaluation" / "val_mean_dice_raw.csv") for arm in ARMS}
    console.print(_summary(dice, labels, labelled))
    curves = {title: read_learning_curve(output / arm / "log", "val_mean_dice") for arm, title in ARMS.items()}
    figures = [
        draw_learning_curves(curves, output / "learning_curve.png"),
        draw_overlays(datalist["validation"], segmentations, output / "overlays.png"),
    ]
    console.print(f"Took {time.perf_counter() - started:.0f} s. See:")
    for figure in figures:
        console.print(f"  {figure}", soft_wrap=True)
    console.print(f"  {segmentations} (NIfTI)", soft_wrap=True)


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
        tail = "\n".join(log.read_text().splitlines()[-5:])
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


if __name__ == "__main__":
    typer.run(main)
