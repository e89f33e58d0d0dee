"""
Compares semi-supervised methods on real MRI with few labels:

    MONAI_PROTO_DATA=... python -m benchmarks.semi_supervised --data hippocampus --labelled 3 --seeds 3

Every finished run is stored at once in ``benchmarks/results/semi_supervised.json``; a later call goes on from there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.options import known_names, require_choice
from benchmarks.run_store import complete_runs
from benchmarks.segmentation_data import TASKS
from benchmarks.segmentation_methods import ABLATIONS, COMPARED, METHODS
from benchmarks.segmentation_run import run

RESULTS = Path(__file__).parent / "results"
_KEY = ("task", "method", "num_labelled", "seed", "steps")


def main(
    data: Annotated[str, typer.Option(help=f"One of {', '.join(TASKS)}.")] = "hippocampus",
    labelled: Annotated[int, typer.Option(help="Labelled cases.")] = 3,
    seeds: Annotated[int, typer.Option(help="Runs of each method, with seeds 0, 1, ...")] = 3,
    steps: Annotated[int, typer.Option(help="Optimiser steps of a run.")] = 800,
    ablations: Annotated[bool, typer.Option(help="Also run one-change variants of ours.")] = False,
    methods: Annotated[str, typer.Option(help="Comma-separated names instead of all.")] = "",
    workers: Annotated[int, typer.Option(help="Runs side by side, one thread each.")] = 2,
    results: Annotated[Path, typer.Option(help="Where runs are stored.")] = RESULTS / "semi_supervised.json",
) -> None:
    """Run what is missing, then print the table and draw the figure."""
    names = known_names(methods, [*COMPARED, *(ABLATIONS if ablations else ())], METHODS)
    require_choice("--data", data, TASKS)
    wanted = [_run_arguments(data, name, labelled, seed, steps) for seed in range(seeds) for name in names]
    console = Console(width=200)
    records = complete_runs(
        _run,
        wanted,
        results,
        _KEY,
        workers,
        console.print,
        lambda r: f"{r['method']} seed {r['seed']}: {_final(r):.4f} in {r['seconds']:.0f} s",
    )
    console.print(_table(records, data, labelled, steps))
    figure = results.parent / f"semi_supervised_{data}_{labelled}.png"
    _figure(records, data, labelled, figure)
    console.print(f"Figure: {figure}")


def _run_arguments(data: str, method: str, labelled: int, seed: int, steps: int) -> tuple:
    """The key of a run; supervision on all cases does not depend on how many are labelled."""
    return data, method, 0 if METHODS[method].all_labelled else labelled, seed, steps


def _run(arguments: tuple) -> dict:
    task, method, labelled, seed, steps = arguments
    return run(task, method, labelled, seed, steps)


def _final(record: dict) -> float:
    """Mean Dice over the classes of the averaged weights at the last step."""
    return float(np.mean(record["curve"][-1]["ema"]))


def _by_method(records: list[dict]) -> dict[str, dict[int, dict]]:
    grouped: dict[str, dict[int, dict]] = {}
    for record in records:
        grouped.setdefault(record["method"], {})[record["seed"]] = record
    return grouped


def _table(records: list[dict], data: str, labelled: int, steps: int) -> Table:
    """Mean and spread over seeds, and the paired difference to supervised training on the same cases."""
    grouped = _by_method(records)
    title = f"{data}, {labelled} labelled, {steps} steps: validation Dice of the averaged weights"
    table = Table(title=title, box=box.MARKDOWN)
    columns = (*TASKS[data].labels, "mean Dice", "sd", "last weights", "minus supervised", "sd", "gap closed", "s/run")
    for column in ("method", "seeds", *columns):
        table.add_column(column, justify="left" if column == "method" else "right")
    for name, runs in grouped.items():
        scores = np.array([_final(r) for r in runs.values()])
        classes = np.mean([r["curve"][-1]["ema"] for r in runs.values()], axis=0)
        cells = [METHODS[name].title, str(len(runs)), *(f"{c:.3f}" for c in classes), f"{scores.mean():.4f}"]
        cells += [_spread(scores), f"{np.mean([r['last_weights'] for r in runs.values()]):.4f}"]
        difference = (
            np.array([_final(r) - _final(grouped["supervised"][s]) for s, r in runs.items()])
            if (set(runs) <= set(grouped.get("supervised", {})))
            else np.array([np.nan])
        )
        cells += [f"{difference.mean():+.4f}", _spread(difference), _gap_closed(grouped, scores)]
        cells += [f"{np.mean([r['seconds'] for r in runs.values()]):.0f}"]
        table.add_row(*cells)
    return table


def _spread(values: np.ndarray) -> str:
    return f"{values.std(ddof=1):.4f}" if len(values) > 1 else "-"


def _gap_closed(grouped: dict[str, dict[int, dict]], scores: np.ndarray) -> str:
    """Share of the distance between supervision on the labelled and on all cases."""
    if not {"supervised", "supervised_all"} <= set(grouped):
        return "-"
    low, high = (np.mean([_final(r) for r in grouped[n].values()]) for n in ("supervised", "supervised_all"))
    return f"{(scores.mean() - low) / (high - low):.0%}"


def _figure(records: list[dict], data: str, labelled: int, path: Path) -> None:
    """Learning curves: mean over seeds with a band from the lowest to the highest."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(9, 4.5), layout="constrained")
    for name, runs in _by_method(records).items():
        steps = [point["step"] for point in next(iter(runs.values()))["curve"]]
        curves = np.array([[np.mean(point["ema"]) for point in record["curve"]] for record in runs.values()])
        (line,) = axes.plot(steps, curves.mean(0), marker="o", label=METHODS[name].title)
        axes.fill_between(steps, curves.min(0), curves.max(0), color=line.get_color(), alpha=0.15)
    axes.set(xlabel="optimiser step", ylabel="mean Dice, validation", title=f"{data}, {labelled} labelled cases")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)
    plt.close(figure)


if __name__ == "__main__":
    typer.run(main)
