"""
Simulates the choice of the next study to label, with the true labels as the annotator:

    MONAI_PROTO_DATA=... python -m benchmarks.active_learning --seeds 3

Every finished run is stored at once in ``benchmarks/results/active_learning.json``; a later call goes on from there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.active_learning_run import run
from benchmarks.active_learning_strategies import ABLATIONS, COMPARED, STRATEGIES
from benchmarks.options import known_names, require_choice
from benchmarks.run_store import complete_runs
from benchmarks.segmentation_data import TASKS

RESULTS = Path(__file__).parent / "results"
_KEY = ("task", "strategy", "seed", "labels", "first_steps", "round_steps", "pool", "from_scratch")


def main(
    data: Annotated[str, typer.Option(help=f"One of {', '.join(TASKS)}.")] = "hippocampus",
    seeds: Annotated[int, typer.Option(help="Runs of each strategy.")] = 3,
    first_seed: Annotated[int, typer.Option(help="The seeds are this one and the next ones.")] = 0,
    labels: Annotated[int, typer.Option(help="Studies to label, one at a time.")] = 6,
    first_steps: Annotated[int, typer.Option(help="Optimiser steps with one label.")] = 200,
    round_steps: Annotated[int, typer.Option(help="Optimiser steps after each further label.")] = 150,
    pool: Annotated[float, typer.Option(min=0, max=1, help="Share of the subjects that a seed draws.")] = 1.0,
    from_scratch: Annotated[bool, typer.Option(help="Each round starts from the initial weights.")] = False,
    target: Annotated[float, typer.Option(help="Mean Dice to reach.")] = 0.84,
    ablations: Annotated[bool, typer.Option(help="Also run one-change variants of ours.")] = False,
    strategies: Annotated[str, typer.Option(help="Comma-separated names instead of all.")] = "",
    workers: Annotated[int, typer.Option(help="Runs side by side, one thread each.")] = 1,
    results: Annotated[Path, typer.Option(help="Where runs are stored.")] = RESULTS / "active_learning.json",
) -> None:
    """Run what is missing, then print the table and draw the figure."""
    names = known_names(strategies, [*COMPARED, *(ABLATIONS if ablations else ())], STRATEGIES, "strategies")
    require_choice("--data", data, TASKS)
    numbers = range(first_seed, first_seed + seeds)
    settings = (labels, first_steps, round_steps, pool, from_scratch)
    wanted = [(data, name, seed, *settings) for seed in numbers for name in names]
    console = Console(width=240)
    records = complete_runs(
        _run,
        wanted,
        results,
        _KEY,
        workers,
        console.print,
        lambda r: (
            f"{r['strategy']} seed {r['seed']}: {_described(labels_to_reach(mean_dice(r), target), labels)} labels "
            f"to {target}, {mean_dice(r)[-1]:.4f} in {r['seconds']:.0f} s"
        ),
    )
    console.print(_table(records, target, labels))
    kind = f"{labels}x{round_steps}{'_from_scratch' if from_scratch else ''}_pool_{pool:g}"
    figure = results.with_name(f"{results.stem}_{data}_{kind}_seeds_{numbers[0]}-{numbers[-1]}.png")
    _figure(records, data, target, figure)
    console.print(f"Figure: {figure}")


def _run(arguments: tuple) -> dict:
    return run(*arguments)


def mean_dice(record: dict) -> np.ndarray:
    """Mean Dice over the classes after each label."""
    return np.array([np.mean(point["dice"]) for point in record["curve"]])


def labels_to_reach(dice: np.ndarray, target: float) -> float:
    """Number of labels, between whole ones by a straight line, at which the target is reached; infinite for never."""
    reached = np.flatnonzero(dice >= target)
    if not len(reached):
        return float("inf")
    last = reached[0]
    if last == 0:
        return 1.0
    return float(last + (target - dice[last - 1]) / (dice[last] - dice[last - 1]))


def _described(number: float, labels: int, digits: int = 1) -> str:
    return f"over {labels}" if np.isinf(number) else f"{number:.{digits}f}"


def _by_strategy(records: list[dict]) -> dict[str, dict[int, dict]]:
    grouped: dict[str, dict[int, dict]] = {}
    for record in records:
        grouped.setdefault(record["strategy"], {})[record["seed"]] = record
    return grouped


def _table(records: list[dict], target: float, labels: int) -> Table:
    """
    Labels to the target: per seed, of the mean curve, and against random, between whole numbers and in whole ones (a
    study is labelled whole or not at all); mean Dice over the curve and at its end.
    """
    grouped = _by_strategy(records)
    seeds = sorted({record["seed"] for record in records})
    reached = {
        name: {seed: labels_to_reach(mean_dice(run), target) for seed, run in runs.items()}
        for name, runs in grouped.items()
    }
    table = Table(title=f"labels to a validation Dice of {target}", box=box.MARKDOWN)
    table.add_column("strategy")
    for column in (
        *(f"seed {seed}" for seed in seeds),
        "median",
        "mean",
        "against random",
        "whole labels",
        "against random",
        "mean curve",
        "mean Dice of the curve",
        "sd",
        "last",
    ):
        table.add_column(column, justify="right")
    for name, numbers in reached.items():
        whole = {seed: np.ceil(number) for seed, number in numbers.items()}
        random = reached.get("random", {})
        curves = np.array([mean_dice(run) for run in grouped[name].values()])
        per_run = curves.mean(1)
        table.add_row(
            STRATEGIES[name].title,
            *(_described(numbers[seed], labels) if seed in numbers else "-" for seed in seeds),
            _described(np.median(list(numbers.values())), labels, 2),
            _mean(numbers),
            _against(numbers, random),
            _mean(whole),
            _against(whole, {seed: np.ceil(number) for seed, number in random.items()}),
            _described(labels_to_reach(curves.mean(0), target), labels),
            f"{per_run.mean():.4f}",
            f"{per_run.std(ddof=1):.4f}" if len(per_run) > 1 else "-",
            f"{curves[:, -1].mean():.4f}",
        )
    return table


def _mean(numbers: dict[int, float]) -> str:
    mean = np.mean(list(numbers.values()))
    return f"{mean:.2f}" if np.isfinite(mean) else "-"  # where one run does not get there


def _against(reached: dict[int, float], random: dict[int, float]) -> str:
    """Relative difference of the mean number of labels, over the seeds that both have, where all get there."""
    common = reached.keys() & random.keys()
    sums = [sum(numbers[seed] for seed in common) for numbers in (reached, random)]
    return f"{sums[0] / sums[1] - 1:+.0%}" if common and np.isfinite(sums).all() else "-"


def _figure(records: list[dict], data: str, target: float, path: Path) -> None:
    """Dice against labels: mean over seeds with a band from the lowest to the highest."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(9, 4.5), layout="constrained")
    for name, runs in _by_strategy(records).items():
        curves = np.array([mean_dice(record) for record in runs.values()])
        numbers = np.arange(1, curves.shape[1] + 1)
        compared = name in COMPARED
        (line,) = axes.plot(
            numbers, curves.mean(0), marker="o", linestyle="-" if compared else ":", label=STRATEGIES[name].title
        )
        if compared:
            axes.fill_between(numbers, curves.min(0), curves.max(0), color=line.get_color(), alpha=0.15)
    axes.axhline(target, color="black", linewidth=0.8)
    axes.set(xlabel="labelled studies", ylabel="mean Dice, validation", title=f"{data}: which study to label next")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)
    plt.close(figure)


if __name__ == "__main__":
    typer.run(main)
