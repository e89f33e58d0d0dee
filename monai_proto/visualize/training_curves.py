"""Losses and validation of a training over its epochs."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["draw_training_curves"]

Curve = Sequence[tuple[int, float]]


def draw_training_curves(
    losses: Mapping[str, Curve],
    validation: Mapping[str, Curve],
    path: str | os.PathLike,
    title: str,
    best_epoch: int | None = None,
) -> Path:
    """
    Args:
        losses: name -> (epoch, mean over its steps).
        validation: name -> (epoch, value); the first is drawn thick.
        path: PNG to write.
        title: of the figure.
        best_epoch: is marked.
    """
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import MaxNLocator

    last = max((points[-1][0] for points in [*losses.values(), *validation.values()]), default=1)
    figure, (left, right) = plt.subplots(1, 2, figsize=(13, 4.2), layout="constrained")
    for name, points in losses.items():
        width = 2.4 if name == "loss" else 1.2
        left.plot(*zip(*points, strict=True), label=name, linewidth=width, marker="o", markersize=3)
    left.set(xlabel="epoch", ylabel="loss, mean of the epoch's steps", title="training")
    for index, (name, points) in enumerate(validation.items()):
        width = 1.2 if index else 2.4
        right.plot(*zip(*points, strict=True), label=name, linewidth=width, marker="o", markersize=3)
    right.set(xlabel="epoch", ylabel="metric", title="validation", ylim=(-0.02, 1.02))
    if best_epoch is not None:
        right.axvline(best_epoch, color="grey", linestyle="dotted", label=f"model.pt: epoch {best_epoch}")
    for place, curves in ((left, losses), (right, validation)):
        place.grid(alpha=0.3)
        place.set_xlim(0.5, last + 0.5)
        place.xaxis.set_major_locator(MaxNLocator(integer=True))
        if curves:
            place.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False)
        else:
            place.text(0.5, 0.5, "nothing was recorded", transform=place.transAxes, ha="center")
    figure.suptitle(title, fontsize=10)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return path
