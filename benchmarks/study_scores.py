"""
Measures what the scores of studies without labels are worth, on models with one labelled study:

    MONAI_PROTO_DATA=... python -m benchmarks.study_scores --seeds 3

The models are those of the first rounds of ``benchmarks.active_learning``: for each seed one that was trained with the
most typical study and one with a random study.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from monai.utils import set_determinism
from rich import box
from rich.console import Console
from rich.table import Table
from scipy.stats import rankdata, spearmanr

from benchmarks.active_learning_model import DEVICE, SimulatedModel, train_first_round
from benchmarks.machine import machine_record
from benchmarks.segmentation_data import TASKS, load_volumes
from monai_proto.active_learning import (
    StudyScore,
    class_feature_means,
    embedding_distances,
    foreground_entropy,
    prototype_distances,
    relative_prototype_distances,
    select_study,
    thumbnail_embedding,
)

RESULTS = Path(__file__).parent / "results" / "study_scores.json"


def main(
    seeds: Annotated[int, typer.Option(help="Seeds 0, 1, ...")] = 3,
    steps: Annotated[int, typer.Option(help="Optimiser steps of a model.")] = 200,
    results: Annotated[Path, typer.Option(help="Where the result is stored.")] = RESULTS,
) -> None:
    """Score all training studies of hippocampus with every model, compare with their Dice, print the tables."""
    torch.set_num_threads(1)
    task = TASKS["hippocampus"]
    volumes, _, items = load_volumes(task)
    names = [Path(item["image"]).name for item in items]
    thumbnails = [thumbnail_embedding(volume["image"]) for volume in volumes]
    typical = select_study({n: StudyScore(t) for n, t in zip(names, thumbnails, strict=True)}).study_id
    records = []
    for seed in range(seeds):
        drawn = names[int(np.random.RandomState(seed).permutation(len(names))[0])]
        for study in (typical, drawn):
            set_determinism(seed)
            model = SimulatedModel(task)
            index = names.index(study)
            unlabelled = [{"image": v["image"]} for i, v in enumerate(volumes) if i != index]
            train_first_round(model, [volumes[index]], unlabelled, steps, 1000 * seed, study)
            records.append({"seed": seed, "labelled": study, **_measures(model, volumes, items, thumbnails)})
    results.parent.mkdir(parents=True, exist_ok=True)
    results.write_text(json.dumps({"steps": steps, "models": records, "machine": machine_record()}, indent=1) + "\n")
    _print(records)


@torch.no_grad()
def _measures(model: SimulatedModel, volumes: list[dict], items: list[dict], thumbnails: list) -> dict[str, Any]:
    """Rank correlation of each score with the Dice, and how well embeddings find the other side of the same subject."""
    model.teacher.eval()
    prototypes = model.bank.class_means()
    scores: dict[str, list[float]] = {}
    features = []
    for volume in volumes:
        with torch.autocast(DEVICE):
            logits, projection = model.inferer(
                volume["image"].unsqueeze(0).to(DEVICE),
                lambda images: tuple(o.float() for o in model.teacher(images, full_output=True)[:2]),
            )
        means, _ = class_feature_means(projection[0], logits[0].argmax(0), model.task.num_classes)
        features.append(torch.nn.functional.normalize(means[1:], dim=1).cpu())
        for name, value in (
            ("distance to the prototype", prototype_distances(means, prototypes)[1:].mean()),
            ("relative to the background", relative_prototype_distances(means, prototypes)[1:].mean()),
            ("entropy, margin 2", foreground_entropy(logits[0], 2)),
            ("entropy, margin 4", foreground_entropy(logits[0], 4)),
        ):
            scores.setdefault(name, []).append(float(value))
    ranks = (rankdata(scores[name]) for name in ("relative to the background", "entropy, margin 4"))
    scores["relative distance and entropy, margin 4"] = sum(ranks).tolist()
    dice = model.case_dice(volumes).nanmean(1).numpy()
    return {
        "mean_dice": float(dice.mean()),
        "correlation": {name: float(spearmanr(values, dice)[0]) for name, values in scores.items()},
        "twins": {"image": _twins(thumbnails, items), "features": _twins(features, items)},
    }


def _twins(embeddings: list[torch.Tensor], items: list[dict]) -> dict[str, float]:
    """Of the studies whose subject has two: share whose nearest is the other, and their distance in medians."""
    distances = embedding_distances(torch.stack(embeddings), torch.stack(embeddings))
    itself = torch.eye(len(items), dtype=torch.bool)
    median = distances[~itself].median()
    distances[itself] = torch.inf
    pairs = [
        (a, b)
        for a, first in enumerate(items)
        for b, second in enumerate(items)
        if a != b and first["patient_id"] == second["patient_id"]
    ]
    return {
        "found": float(np.mean([int(distances[a].argmin()) == b for a, b in pairs])),
        "median_ratio": float(np.median([float(distances[a, b] / median) for a, b in pairs])),
        "pairs_below_half": float((distances < 0.5 * median).float().mean()),
    }


def _print(records: list[dict]) -> None:
    console = Console(width=160)
    table = Table(title="rank correlation with the Dice", box=box.MARKDOWN)
    for column in ("score", "mean", "least", "largest"):
        table.add_column(column)
    for name in records[0]["correlation"]:
        values = [record["correlation"][name] for record in records]
        table.add_row(name, f"{np.mean(values):+.2f}", f"{min(values):+.2f}", f"{max(values):+.2f}")
    console.print(table)
    table = Table(title="other side of the same subject", box=box.MARKDOWN)
    for column in ("embedding", "nearest of all", "distance, share of the median", "pairs nearer than half the median"):
        table.add_column(column)
    for name in ("image", "features"):
        found = [record["twins"][name] for record in records]
        cells = (np.mean([f[key] for f in found]) for key in ("found", "median_ratio", "pairs_below_half"))
        table.add_row(name, *(f"{cell:.2f}" for cell in cells))
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
