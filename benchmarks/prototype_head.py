"""
Compares heads of a classifier on HAM10000, with the same backbone, images and steps:

    MONAI_PROTO_DATA=... python -m benchmarks.prototype_head --seeds 3

Every finished run is stored at once in ``benchmarks/results/prototype_head.json``; a later call goes on from there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pooch
import typer
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.classification_data import VIEWS, front_activations, load_lesion_images
from benchmarks.classification_methods import COMPARED, METHODS
from benchmarks.classification_run import run
from benchmarks.options import known_names
from benchmarks.run_store import complete_runs

RESULTS = Path(__file__).parent / "results"
_KEY = ("method", "seed", "epochs")
_FIGURES = (
    "balanced_accuracy",
    "balanced_accuracy_equal_priors",
    "accuracy",
    "macro_auroc",
    "ece",
    "aurc",
    "augrc",
    "aurc_entropy",
    "balanced_accuracy_at_80",
    "agreement",
)


def main(
    seeds: Annotated[int, typer.Option(help="Runs of each method, with seeds 0, 1, ...")] = 3,
    epochs: Annotated[int, typer.Option(help="Epochs of a run.")] = 6,
    methods: Annotated[str, typer.Option(help="Comma-separated names.")] = ",".join(COMPARED),
    workers: Annotated[int, typer.Option(help="Runs side by side, one thread each.")] = 2,
    results: Annotated[Path, typer.Option(help="Where runs are stored.")] = RESULTS / "prototype_head.json",
    cache: Annotated[Path | None, typer.Option(help="Where images and activations are kept.")] = None,
) -> None:
    """Run what is missing, then print the tables."""
    names = known_names(methods, COMPARED, METHODS)
    cache = cache or Path(pooch.os_cache("monai_proto")) / "benchmarks"
    # once, before the processes want it
    images = load_lesion_images(cache)
    front_activations(images.test_images, "test", cache)
    front_activations(images.train_images, "train", cache, VIEWS)
    console = Console(width=200)
    wanted = [(name, seed, epochs) for seed in range(seeds) for name in names]
    records = complete_runs(
        _Run(cache),
        wanted,
        results,
        _KEY,
        workers,
        console.print,
        lambda r: f"{r['method']} seed {r['seed']}: {r['final']}",
    )
    for table in _tables(records, epochs):
        console.print(table)


class _Run:
    """A run of one key, for another process."""

    def __init__(self, cache: Path) -> None:
        self.cache = cache

    def __call__(self, key: tuple) -> dict[str, Any]:
        return run(*key, cache=self.cache)


def _tables(records: list[dict[str, Any]], epochs: int) -> list[Table]:
    """The figures at the end, and what prototypes add to them; mean and standard deviation over the seeds."""
    grouped: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        grouped.setdefault(record["method"], []).append(record)
    figures = Table(title=f"HAM10000 test part, {epochs} epochs", box=box.MARKDOWN)
    for column in ("method", "seeds", *_FIGURES, "s/run"):
        figures.add_column(column.replace("_", " "), justify="left" if column == "method" else "right")
    prototypes = Table(title="prototypes: projection and faithfulness", box=box.MARKDOWN)
    columns = ("balanced accuracy before", "after projection", "at the end", "provenance error")
    for column in ("method", *columns, "logit falls, explained region", "random region", "explained falls more"):
        prototypes.add_column(column, justify="left" if column == "method" else "right")
    for name, runs in grouped.items():
        cells = [_cell([r["final"].get(f, np.nan) for r in runs]) for f in _FIGURES]
        figures.add_row(METHODS[name].title, str(len(runs)), *cells, f"{np.mean([r['seconds'] for r in runs]):.0f}")
        if "faithfulness" in runs[0]:
            stages = ("before_projection", "after_projection", "final")
            cells = [_cell([r[stage]["balanced_accuracy"] for r in runs]) for stage in stages]
            cells.append(f"{max(r['provenance_error'] for r in runs):.1e}")
            parts = ("explained_region", "random_region", "share_of_images")
            cells += [_cell([r["faithfulness"][part] for r in runs]) for part in parts]
            prototypes.add_row(METHODS[name].title, *cells)
    return [figures, prototypes]


def _cell(values: list[float]) -> str:
    spread = f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else ""
    return "-" if np.isnan(values).any() else f"{np.mean(values):.3f}{spread}"


if __name__ == "__main__":
    typer.run(main)
