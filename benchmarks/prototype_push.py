"""
Time and memory of an exact push, side by side with ProtoPNet's loop on the same embeddings:

    python -m benchmarks.prototype_push
"""

from __future__ import annotations

import gc
import json
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.machine import machine_record
from benchmarks.peer_prototype_push import straightforward_push
from monai_proto.engines import push_prototypes
from monai_proto.networks.blocks import PrototypeBank

RESULTS = Path(__file__).parent / "results" / "prototype_push.json"
CLASSES, PATCHES, DIM, PROTOTYPES, BATCH = 7, 49, 768, 5, 32


def main(
    images: Annotated[int, typer.Option(help="Images of a class.")] = 200,
    rounds: Annotated[int, typer.Option(help="Alternating rounds.")] = 7,
    results: Annotated[Path, typer.Option(help="Where the result is stored.")] = RESULTS,
) -> None:
    """Measure, print and store."""
    torch.set_num_threads(1)
    embeddings, labels = _data(images)
    bank = _bank()
    prototypes, prototype_labels = bank.prototypes.detach().clone(), bank.prototype_labels
    projected, _ = straightforward_push(prototypes, prototype_labels, _batches(embeddings, labels))
    push_prototypes(bank, _named(embeddings, labels), 0.0, None, normalize=False)
    difference = float((bank.prototypes.detach() - projected).abs().max())

    def ours() -> None:
        fresh = _bank()
        push_prototypes(fresh, _named(embeddings, labels), 0.0, None, normalize=False)

    calls: dict[str, Callable[[], Any]] = {
        "ours": ours,
        "straightforward loop": lambda: straightforward_push(
            prototypes, prototype_labels, _batches(embeddings, labels)
        ),
        "bare product": lambda: _bare_products(embeddings, labels, prototypes),
    }
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - started)
    medians = {name: float(np.median(values)) for name, values in seconds.items()}
    record = {
        "images_per_class": images,
        "largest_difference": difference,
        "seconds": {name: round(value, 4) for name, value in medians.items()},
        "times_faster_than_the_loop": round(medians["straightforward loop"] / medians["ours"], 2),
        "times_the_bare_product": round(medians["ours"] / medians["bare product"], 2),
        "held_kilobytes": {str(n): _held_kilobytes(n) for n in (images // 4, images // 2, images)},
        "machine": machine_record(),
    }
    results.write_text(json.dumps(record, indent=1) + "\n")
    _print(record)


def _data(images: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(CLASSES, (CLASSES * images,), generator=generator)
    return torch.randn(len(labels), PATCHES, DIM, generator=generator), labels


def _bank() -> PrototypeBank:
    torch.manual_seed(1)
    return PrototypeBank(CLASSES, DIM, PROTOTYPES, PROTOTYPES, normalize=False)


def _batches(embeddings: torch.Tensor, labels: torch.Tensor) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    yield from zip(embeddings.split(BATCH), labels.split(BATCH), strict=True)


def _named(embeddings: torch.Tensor, labels: torch.Tensor) -> Iterator[tuple[torch.Tensor, torch.Tensor, list[str]]]:
    for start, (patches, of_batch) in enumerate(_batches(embeddings, labels)):
        yield patches, of_batch, [str(start * BATCH + i) for i in range(len(of_batch))]


def _bare_products(embeddings: torch.Tensor, labels: torch.Tensor, prototypes: torch.Tensor) -> None:
    """The products of patches and prototypes of the own class, which no exact push can do without."""
    of_class = prototypes.reshape(CLASSES, PROTOTYPES, DIM).transpose(1, 2)
    for patches, of_batch in _batches(embeddings, labels):
        torch.bmm(patches, of_class[of_batch])


def _held_kilobytes(images: int) -> int:
    """Memory that a push keeps from batch to batch: batches are made one by one, and what is left is looked at."""
    held: list[int] = []
    generator = torch.Generator().manual_seed(0)

    def made() -> Iterator[tuple[torch.Tensor, torch.Tensor, list[str]]]:
        for start in range(0, CLASSES * images, BATCH):
            held.append(tracemalloc.get_traced_memory()[0] + _tensor_bytes())
            labels = torch.randint(CLASSES, (BATCH,), generator=generator)
            yield torch.randn(BATCH, PATCHES, DIM, generator=generator), labels, [str(start + i) for i in range(BATCH)]

    tracemalloc.start()
    push_prototypes(_bank(), made(), 0.0, None, normalize=False)
    tracemalloc.stop()
    return round((max(held[1:]) - held[0]) / 1024)


def _tensor_bytes() -> int:

    storages = {
        t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in gc.get_objects() if torch.is_tensor(t)
    }
    return sum(storages.values())


def _print(record: dict[str, Any]) -> None:
    table = Table(title=f"exact push, {record['images_per_class']} images a class", box=box.MARKDOWN)
    for column in ("", "seconds"):
        table.add_column(column)
    for name, value in record["seconds"].items():
        table.add_row(name, f"{value:.3f}")
    console = Console(width=160)
    console.print(table)
    for name in ("times_faster_than_the_loop", "times_the_bare_product", "held_kilobytes", "largest_difference"):
        console.print(f"{name.replace('_', ' ')}: {record[name]}")


if __name__ == "__main__":
    typer.run(main)
