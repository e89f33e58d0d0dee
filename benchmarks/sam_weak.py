"""
Compares ways to adapt LiteMedSAM from boxes on real images:

    MONAI_PROTO_DATA=... python -m benchmarks.sam_weak --seeds 3

Every finished run is stored at once in ``benchmarks/results/sam_weak.json``; a later call goes on from there. What the
frozen part of the encoder gives is kept in the cache folder: the first run of a domain and k takes longer.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.options import known_names, require_choice
from benchmarks.promptable_data import DOMAINS
from benchmarks.promptable_methods import ABLATIONS, COMPARED, METHODS
from benchmarks.promptable_run import EVALUATED_PROMPTS, run
from benchmarks.run_store import complete_runs

RESULTS = Path(__file__).parent / "results"
_KEY = ("domain", "method", "trainable_blocks", "images", "steps", "seed", "test_images", "learning_rate")


def main(
    data: Annotated[str, typer.Option(help="ham10000, hippocampus or ct.")] = "ham10000",
    seeds: Annotated[int, typer.Option(help="Runs of each method, with seeds 0, 1, ...")] = 3,
    k: Annotated[str, typer.Option(help="Trainable blocks; several, comma-separated, for the curve.")] = "2",
    images: Annotated[str, typer.Option(help="Training images; several, comma-separated, for the curve.")] = "30",
    steps: Annotated[int, typer.Option(help="Optimiser steps of a run, of one image.")] = 40,
    test_images: Annotated[int, typer.Option(help="Test images of the domain.")] = 60,
    learning_rate: Annotated[float, typer.Option(help="Of the encoder.")] = 1.5e-4,
    methods: Annotated[str, typer.Option(help="Comma-separated names instead of all.")] = "",
    ablations: Annotated[bool, typer.Option(help="Also run one-change variants, hard negatives among them.")] = False,
    workers: Annotated[int, typer.Option(help="Runs side by side, one thread each.")] = 2,
    results: Annotated[Path, typer.Option(help="Where runs are stored.")] = RESULTS / "sam_weak.json",
) -> None:
    """Run what is missing, then print the table."""
    require_choice("--data", data, COMPARED)
    names = known_names(methods, [*COMPARED[data], *(ABLATIONS if ablations else ())], METHODS)
    wanted = [
        _run_arguments(data, name, int(blocks), int(number), steps, seed, test_images, learning_rate)
        for seed in range(seeds)
        for blocks in k.split(",")
        for number in images.split(",")
        for name in names
    ]
    console = Console(width=200)
    records = complete_runs(_run, wanted, results, _KEY, workers, console.print, _describe, own_process=False)
    console.print(_table(records, data))


def _run_arguments(data, method, blocks, images, steps, seed, test_images, learning_rate) -> tuple:
    """The key of a run; the model as it is depends on the test images alone (k 2 shares the others' cache)."""
    if METHODS[method].loss is None:
        return data, method, 2, 0, 0, 0, test_images, 0.0
    return data, method, blocks, images, steps, seed, test_images, learning_rate


def _run(arguments: tuple) -> dict[str, Any]:
    data, method, blocks, images, steps, seed, test_images, learning_rate = arguments
    return run(data, method, blocks, images, steps, seed, test_images, learning_rate)


def _describe(record: dict[str, Any]) -> str:
    scores = record["scores"][record["domain"]]
    said = ", ".join(f"{prompt} {scores[prompt]['iou']:.4f}" for prompt in EVALUATED_PROMPTS)
    return f"{record['method']} seed {record['seed']}: IoU {said} in {record['seconds']:.0f} s"


def _table(records: list[dict[str, Any]], data: str) -> Table:
    """Mean and spread over seeds, the share of the gap that is closed, and the change on domains not adapted to."""
    groups: dict[tuple, list[dict[str, Any]]] = {}
    for record in records:
        groups.setdefault((record["method"], record["trainable_blocks"], record["images"]), []).append(record)
    others = [domain for domain in DOMAINS if domain != data]
    table = Table(title=f"LiteMedSAM adapted to {data}: test images, mean over seeds", box=box.MARKDOWN)
    for column in ("method", "k", "images", "seeds"):
        table.add_column(column, justify="left" if column == "method" else "right")
    for prompt in EVALUATED_PROMPTS:
        for column in (f"{prompt} IoU", "sd", "Dice", "gap closed"):
            table.add_column(column, justify="right")
    for domain in others:
        table.add_column(f"{domain} {EVALUATED_PROMPTS[0]}", justify="right")
    table.add_column("s/run", justify="right")
    for (method, blocks, images), runs in groups.items():
        cells = [METHODS[method].title, str(blocks), str(images), str(len(runs))]
        for prompt in EVALUATED_PROMPTS:
            values = _values(runs, data, prompt, "iou")
            cells += [f"{values.mean():.4f}", f"{values.std(ddof=1):.4f}" if len(values) > 1 else "-"]
            cells += [f"{_values(runs, data, prompt, 'dice').mean():.4f}"]
            cells += [_gap_closed(groups, data, prompt, blocks, images, values.mean())]
        cells += [_change(groups, runs, domain) for domain in others]
        table.add_row(*cells, f"{np.mean([record['seconds'] for record in runs]):.0f}")
    return table


def _values(runs: list[dict[str, Any]], domain: str, prompt: str, score: str) -> np.ndarray:
    return np.array([record["scores"][domain][prompt][score] for record in runs])


def _unadapted(groups: dict[tuple, list]) -> list[dict[str, Any]] | None:
    return next((runs for (method, *_), runs in groups.items() if method == "unadapted"), None)


def _gap_closed(groups: dict[tuple, list], data: str, prompt: str, blocks: int, images: int, mean: float) -> str:
    """Share of the distance between the model as it is and fine-tuning with masks, at the same k and images."""
    low, high = _unadapted(groups), groups.get(("masks", blocks, images))
    if low is None or high is None:
        return "-"
    bottom, top = (_values(runs, data, prompt, "iou").mean() for runs in (low, high))
    return f"{(mean - bottom) / (top - bottom):.0%}" if top > bottom else "-"


def _change(groups: dict[tuple, list], runs: list[dict[str, Any]], domain: str) -> str:
    """Mean IoU from the big box, and its difference to the model as it is."""
    prompt, low = EVALUATED_PROMPTS[0], _unadapted(groups)
    mean = _values(runs, domain, prompt, "iou").mean()
    return f"{mean:.4f}" + ("" if low is None else f" ({mean - _values(low, domain, prompt, 'iou').mean():+.4f})")


if __name__ == "__main__":
    typer.run(main)
