"""
Time and memory of the two hand-written kernels of the class memory bank against plain vectorised operations and
``torch.compile``, at the numbers of rows that a bundle's step has:

    python -m benchmarks.class_cosine                # writes benchmarks/results/class_cosine.json

- cosines: forward and backward of :func:`class_cosine_sums`, with weights that have a gradient, as learned selectors
  give them;
- selectors: forward and backward of :func:`selector_scores` with batch statistics. Of the plain forms "class by class"
  asks an accelerator for the number of rows of each class, which "dense" does not.

Before anything is timed, sums or scores and all gradients are compared. The arms take turns within one process; ratios
are taken round by round. Memory is the peak of one step beyond the inputs, in a fresh process for each arm; it holds
the gradient that every arm has to return.
"""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import torch
import torch.nn.functional as F
import typer
from rich import box
from rich.console import Console
from rich.table import Table
from torch import nn

from benchmarks.machine import machine_record
from benchmarks.side_by_side import (
    alternating_seconds,
    extra_peak_mib,
    in_fresh_process,
    let_waiting_threads_sleep,
    ratio_of_pairs,
)
from monai_proto.losses.class_cosine import class_cosine_sums, class_sums
from monai_proto.networks.blocks import FeatureSelector
from monai_proto.networks.blocks.selector_scores import selector_scores

RESULTS = Path(__file__).parent / "results"
_CASES = [(rows, dim, classes) for rows in (12_000, 18_000) for dim in (32, 64) for classes in (3, 8)]
_SELECTOR_CASES = [(12_000, 64, 8), (18_000, 32, 3)]
_MEMORY_CASE = (18_000, 64, 8)

Arm = Callable[..., torch.Tensor]


def cosines_gathered(
    features: torch.Tensor, labels: torch.Tensor, directions: torch.Tensor, weights: torch.Tensor | None = None
) -> torch.Tensor:
    """The definition: unit rows times the direction of their class."""
    safe_labels, valid = _safe(labels, len(directions))
    cosines = (F.normalize(features.float(), dim=1) * directions.index_select(0, safe_labels)).sum(1)
    return class_sums(_weighted(cosines, valid, weights), safe_labels, len(directions))


def cosines_product(
    features: torch.Tensor, labels: torch.Tensor, directions: torch.Tensor, weights: torch.Tensor | None = None
) -> torch.Tensor:
    """One matrix product with all directions, of which each row takes its own class's, and a division by the norms."""
    safe_labels, valid = _safe(labels, len(directions))
    rows = features.float()
    own = (rows @ directions.T).gather(1, safe_labels[:, None]).squeeze(1)
    cosines = own / torch.linalg.vector_norm(rows, dim=1).clamp(min=1e-12)
    return class_sums(_weighted(cosines, valid, weights), safe_labels, len(directions))


def cosines_of_sums(
    features: torch.Tensor, labels: torch.Tensor, directions: torch.Tensor, weights: torch.Tensor | None = None
) -> torch.Tensor:
    """The sum of each class's unit rows by ``index_add``, times its direction."""
    safe_labels, valid = _safe(labels, len(directions))
    units = F.normalize(features.float(), dim=1) * _weighted(torch.ones_like(features[:, 0]), valid, weights)[:, None]
    return (torch.zeros_like(directions).index_add(0, safe_labels, units) * directions).sum(1)


def scores_by_class(selectors: nn.ModuleList, features: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Each selector called on the rows of its class."""
    scores = torch.zeros(len(features))
    for c, selector in enumerate(selectors):
        own = (labels == c).nonzero().flatten()
        scores = scores.index_put((own,), selector(features.index_select(0, own)).sigmoid().squeeze(1))
    return scores


def scores_dense(selectors: nn.ModuleList, features: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The first layers of all selectors on all rows in one product; each row then takes its own class's."""
    (num_rows, dim), num_classes = features.shape, len(selectors)
    weight, bias, scale, shift, last_weight, last_bias = (
        torch.stack([selector.get_parameter(name) for selector in selectors])
        for name in ("0.weight", "0.bias", "1.weight", "1.bias", "3.weight", "3.bias")
    )
    hidden = (features.detach() @ weight.flatten(0, 1).T).unflatten(1, (num_classes, dim))
    hidden = hidden.gather(1, labels[:, None, None].expand(num_rows, 1, dim)).squeeze(1) + bias.index_select(0, labels)
    counts = torch.bincount(labels, minlength=num_classes)[:, None]
    mean = torch.zeros_like(bias).index_add(0, labels, hidden) / counts
    centred = hidden - mean.index_select(0, labels)
    variance = torch.zeros_like(bias).index_add(0, labels, centred.square()) / counts
    with torch.no_grad():
        for c, selector in enumerate(selectors):
            norm = selector[1]
            norm.running_mean.lerp_(mean[c], norm.momentum)
            norm.running_var.lerp_(variance[c] * counts[c] / (counts[c] - 1), norm.momentum)
    factor = scale * (variance + 1e-5).rsqrt()
    active = F.leaky_relu(centred * factor.index_select(0, labels) + shift.index_select(0, labels), 0.2)
    return ((active * last_weight.squeeze(1).index_select(0, labels)).sum(1) + last_bias[labels, 0]).sigmoid()


def _safe(labels: torch.Tensor, num_classes: int) -> tuple[torch.Tensor, torch.Tensor]:
    valid = (labels >= 0) & (labels < num_classes)
    return torch.where(valid, labels, 0), valid


def _weighted(values: torch.Tensor, valid: torch.Tensor, weights: torch.Tensor | None) -> torch.Tensor:
    return torch.where(valid, values if weights is None else values * weights, 0.0)


_COSINES: dict[str, Arm] = {
    "ours": class_cosine_sums,
    "gathered": cosines_gathered,
    "product": cosines_product,
    "index_add": cosines_of_sums,
    "gathered, compiled": cosines_gathered,
    "product, compiled": cosines_product,
}
_SCORES: dict[str, Arm] = {
    "ours": selector_scores,
    "class by class": scores_by_class,
    "dense": scores_dense,
    "dense, compiled": scores_dense,
}
_KERNELS = {"selectors": _SCORES, "cosines": _COSINES}


class Step:
    """One forward and backward of an arm; its result and gradients stay in the inputs."""

    def __init__(self, kernel: str, arm: str, rows: int, dim: int, num_classes: int) -> None:
        torch.manual_seed(0)
        self.labels = torch.randint(0, num_classes, (rows,))
        self.function = _KERNELS[kernel][arm]
        if arm.endswith("compiled"):
            torch._dynamo.reset()
            self.function = torch.compile(self.function, dynamic=False)
        features = torch.randn(rows, dim)
        if kernel == "selectors":
            self.upstream = torch.randn(rows)
            self.inputs: tuple = (nn.ModuleList(FeatureSelector(dim) for _ in range(num_classes)), features)
            # the first layer's bias has gradient zero: batch normalisation takes it off again
            self.trained = [p for n, p in self.inputs[0].named_parameters() if not n.endswith(".0.bias")]
            self.call = partial(self.function, *self.inputs, self.labels)
        else:
            self.upstream = torch.randn(num_classes)
            self.trained = [features.requires_grad_(), torch.rand(rows).requires_grad_()]
            directions = torch.randn(num_classes, dim)
            self.call = partial(self.function, features, self.labels, directions, self.trained[1])

    def __call__(self) -> torch.Tensor:
        for value in self.trained:
            value.grad = None
        result = self.call()
        (result * self.upstream).sum().backward()
        return result.detach()

    def outcome(self) -> list[torch.Tensor]:
        """Result and gradients of one step."""
        return [self(), *(value.grad for value in self.trained if value.grad is not None)]


def time_case(kernel: str, rows: int, dim: int, num_classes: int, rounds: int) -> dict[str, Any]:
    """Median seconds of every arm, and how many times ours that is, round by round."""
    steps: dict[str, Step] = {}
    for arm in _KERNELS[kernel]:
        steps[arm] = Step(kernel, arm, rows, dim, num_classes)
        for value, expected in zip(steps[arm].outcome(), steps["ours"].outcome(), strict=True):
            error = (value - expected).abs().max() / expected.abs().max()
            assert error < 1e-4, f"{kernel}, {arm}: relative error {error:.1e}"
    seconds = alternating_seconds(steps, rounds)
    return {
        "seconds": {arm: statistics.median(values) for arm, values in seconds.items()},
        "times_ours": {arm: ratio_of_pairs(seconds, arm, "ours") for arm in seconds},
    }


def peak_of(kernel: str, arm: str, rows: int, dim: int, num_classes: int) -> float:
    """Extra peak MiB of a step after one on few rows, on which libraries load; called in a fresh process."""
    torch.set_num_threads(1)
    step = Step(kernel, arm, rows, dim, num_classes)
    if arm.endswith("compiled"):  # the code is made for this number of rows
        step()
        step.outcome()
        for value in step.trained:
            value.grad = None
    else:
        Step(kernel, arm, 1024, dim, num_classes)()
    return extra_peak_mib(step)


def main(
    rounds: Annotated[int, typer.Option(help="Rounds in which every arm takes its turn.")] = 40,
    threads: Annotated[list[int], typer.Option(help="Numbers of threads.")] = [1, 2],  # noqa: B006
    output: Annotated[Path | None, typer.Option(help="JSON file to write.")] = RESULTS / "class_cosine.json",
) -> None:
    """Measure, store and print."""
    let_waiting_threads_sleep("benchmarks.class_cosine")
    console = Console(width=160)
    machine = {**machine_record(), "omp_wait_policy": os.environ["OMP_WAIT_POLICY"], "load": os.getloadavg()[0]}
    results = []
    for kernel, arms in _KERNELS.items():
        table = Table(title=f"{kernel}: times ours (ms)", box=box.MARKDOWN)
        for column in ("rows", "D", "C", "threads", *arms):
            table.add_column(column, justify="right")
        for count in threads:
            torch.set_num_threads(count)
            for case in _SELECTOR_CASES if kernel == "selectors" else _CASES:
                result = time_case(kernel, *case, rounds)
                shape = dict(zip(("rows", "feature_dim", "num_classes"), case, strict=True))
                results.append({"kernel": kernel, **shape, "threads": count, "rounds": rounds, **result})
                ratios = (f"{result['times_ours'][a]:.2f} ({result['seconds'][a] * 1e3:.1f})" for a in arms)
                table.add_row(*map(str, case), str(count), *ratios)
        console.print(table)
    memory = {
        kernel: {arm: in_fresh_process(peak_of, kernel, arm, *_MEMORY_CASE) for arm in arms}
        for kernel, arms in _KERNELS.items()
    }
    console.print(f"extra peak memory in MiB, {_MEMORY_CASE}: {memory}")
    if output is not None:
        shape = dict(zip(("rows", "feature_dim", "num_classes"), _MEMORY_CASE, strict=True))
        record = {"machine": machine, "results": results, "extra_peak_mib": {**shape, **memory}}
        output.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    typer.run(main)
