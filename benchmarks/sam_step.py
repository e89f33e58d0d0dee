"""
Time and memory of a training step: the frozen prefix once for student, teacher and reference, against three passes.

    python -m benchmarks.sam_step --model lite_medsam
    python -m benchmarks.sam_step --model vit_b          # 1024 px, random weights

Each kind of step runs in a process of its own, so that its peak memory is its own, one after the other. Seconds are CPU
seconds of one thread: another load on the machine moves them less. Gradients are compared by one random projection of
each parameter's. Results go to ``benchmarks/results/sam_step.json``.
"""

from __future__ import annotations

import copy
import resource
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.run_store import complete_runs
from monai_proto.data import PrefixCache
from monai_proto.networks.freezing import freeze
from monai_proto.networks.nets import AdaptableSegmenter, build_sam, load_sam

RESULTS = Path(__file__).parent / "results"
STEPS = ("three_passes", "shared_prefix", "cached_prefix", "cached_reference")
_KEY = ("model", "trainable_blocks", "batch", "repeats", "step")


def main(
    model: Annotated[str, typer.Option(help="lite_medsam or vit_b.")] = "lite_medsam",
    k: Annotated[int, typer.Option(help="Trainable blocks.")] = 2,
    batch: Annotated[int, typer.Option(help="Images of a step.")] = 1,
    repeats: Annotated[int, typer.Option(help="Steps, of which the fastest counts.")] = 3,
    results: Annotated[Path, typer.Option(help="Where records are stored.")] = RESULTS / "sam_step.json",
) -> None:
    """Measure, store and print."""
    if model not in ("lite_medsam", "vit_b"):
        raise typer.BadParameter(f"--model must be lite_medsam or vit_b, got {model!r}")
    console = Console(width=140)
    wanted = [(model, k, batch, repeats, step) for step in STEPS]
    records = complete_runs(_run, wanted, results, _KEY, 1, console.print, _describe)
    table = Table(title=f"{model}, k = {k}, batch {batch}", box=box.MARKDOWN)
    for column in ("step", "CPU seconds", "times faster", "peak GB", "largest gradient difference"):
        table.add_column(column, justify="left" if column == "step" else "right")
    for record in records:
        cells = [record["step"], f"{record['seconds']:.2f}", f"{records[0]['seconds'] / record['seconds']:.2f}"]
        cells += [f"{record['peak_gb']:.2f}", f"{_difference(records[0], record):.1e}"]
        table.add_row(*cells)
    console.print(table)


def _describe(record: dict[str, Any]) -> str:
    return f"{record['model']} {record['step']}: {record['seconds']:.2f} s"


def _difference(expected: dict[str, Any], found: dict[str, Any]) -> float:
    """Largest difference of a projected gradient, in units of the gradient's length."""
    return max(abs(value - found["gradients"][name]) for name, value in expected["gradients"].items())


def _run(arguments: tuple) -> dict[str, Any]:
    model, k, batch, repeats, name = arguments
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = AdaptableSegmenter(load_sam(model) if model == "lite_medsam" else build_sam(model), k)
    images = torch.rand(batch, 3, 150, 200) * 255
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        step = _STEPS[name](network, images, folder)
        for repeat in range(repeats + 1):  # the first one fills caches
            network.zero_grad()
            started = time.process_time()
            step()
            if repeat:
                seconds.append(time.process_time() - started)
    return {
        **dict(zip(_KEY, arguments, strict=True)),
        "seconds": round(min(seconds), 3),
        "peak_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
        "gradients": {key: _projected(value.grad) for key, value in _trained(network)},
    }


def _projected(gradient: torch.Tensor) -> float:
    direction = torch.randn(gradient.shape, generator=torch.Generator().manual_seed(0))
    return float((gradient * direction).sum() / gradient.norm().clamp(min=1e-20))


def _trained(network: AdaptableSegmenter) -> list[tuple[str, torch.Tensor]]:
    behind = {id(value) for value in network.student.parameters()}
    return [(key, value) for key, value in network.image_encoder.named_parameters() if id(value) in behind]


def _backward(student: torch.Tensor, teacher: torch.Tensor, reference: torch.Tensor) -> None:
    """
    Some loss of all three: a step's cost lies in the encoder. The targets' channels are in another order: the neck ends
    in a normalisation, through which the pull of an embedding towards itself has no gradient but rounding.
    """
    ((student - reference.roll(1, 1)).square().mean() + (student * teacher.flip(1)).mean()).backward()


def _three_passes(network: AdaptableSegmenter, images: torch.Tensor, folder: str):
    """Whole copies of the encoder, and the prefix's activations kept for a backward pass that does not need them."""
    encoder = network.image_encoder
    trained = {key for key, _ in _trained(network)}
    teacher, reference = copy.deepcopy(encoder), copy.deepcopy(encoder)
    freeze(teacher)
    freeze(reference)

    def step() -> None:
        inputs = network.segmenter.preprocess(images)
        student = encoder(inputs)
        with torch.no_grad():
            others = teacher(inputs), reference(inputs)
        _backward(student, *others)

    for key, value in encoder.named_parameters():
        value.requires_grad_(key in trained)
    return step


def _shared(network: AdaptableSegmenter, images: torch.Tensor, prefix, reference=None):
    teacher, reference = network.copy_student(), reference or network.copy_student().suffix

    def step() -> None:
        features = prefix(images)
        with torch.no_grad():
            others = teacher.suffix(features), reference(features)
        _backward(network.student.suffix(features), *others)

    return step


def _shared_prefix(network: AdaptableSegmenter, images: torch.Tensor, folder: str):
    return _shared(network, images, network.embed_prefix)


def _cache(network: AdaptableSegmenter, folder: str) -> PrefixCache:
    segmenter = network.segmenter
    return PrefixCache(folder, network.prefix, segmenter.preprocess, segmenter.preprocessing)


def _cached_prefix(network: AdaptableSegmenter, images: torch.Tensor, folder: str):
    return _shared(network, images, _cache(network, folder))


def _cached_reference(network: AdaptableSegmenter, images: torch.Tensor, folder: str):
    """The reference never changes either: its embedding is kept as the prefix's output is."""
    return _shared(network, images, _cache(network, folder), PrefixCache(folder, network.copy_student().suffix))


_STEPS = dict(zip(STEPS, (_three_passes, _shared_prefix, _cached_prefix, _cached_reference), strict=True))


if __name__ == "__main__":
    typer.run(main)
