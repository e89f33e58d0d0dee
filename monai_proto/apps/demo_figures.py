"""The demo's pictures: learning curves, and segmentations over the images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_learning_curves", "draw_overlays"]

_COLOURS = ("tab:orange", "tab:cyan", "tab:green", "tab:pink", "tab:olive")


def draw_learning_curves(curves: Mapping[str, Sequence[tuple[int, float]]], path: Path) -> Path:
    """
    Args:
        curves: title -> (epoch, mean Dice).
        path: PNG to write.
    """
    figure, axes = _figure(1, 1, (6.5, 4))
    for title, points in curves.items():
        axes[0, 0].plot(*zip(*points, strict=True), marker="o", label=title)
    axes[0, 0].set(xlabel="epoch", ylabel="mean Dice, validation", title="Phantoms: learning curve")
    axes[0, 0].grid(alpha=0.3)
    axes[0, 0].legend()
    return _save(figure, path)


def draw_overlays(cases: Sequence[Mapping[str, str]], segmentations: Path, path: Path, most: int = 4) -> Path:
    """
    Three planes of each case through the middle of its label; true outlines dashed, predicted ones solid.

    Args:
        cases: items with ``image`` and ``label``.
        segmentations: folder with ``{case}_seg.nii.gz``, on the image's own grid.
        path: PNG to write.
        most: cases to draw.
    """
    from monai.transforms import LoadImage, Orientation

    load, orient = LoadImage(image_only=True, ensure_channel_first=True), Orientation("RAS", labels=None)
    cases = list(cases)[:most]
    figure, axes = _figure(len(cases), 3, (7.5, 2.6 * len(cases)))
    for row, case in zip(axes, cases, strict=True):
        name = Path(case["image"]).name.removesuffix(".nii.gz")
        files = (case["image"], case["label"], segmentations / f"{name}_seg.nii.gz")
        image, label, prediction = (orient(load(str(file)))[0].numpy() for file in files)
        centre = np.argwhere(label > 0).mean(0).round().astype(int)
        for axis, plane in enumerate(("sagittal", "coronal", "axial")):
            cut = (slice(None),) * axis + (centre[axis],)
            _draw_plane(row[axis], image[cut], label[cut], prediction[cut])
            row[axis].set_title(f"{name}, {plane}", fontsize=8)
    figure.suptitle("dashed: true outline, solid: segmentation", fontsize=9)
    return _save(figure, path)


def _draw_plane(axes: Axes, image: np.ndarray, label: np.ndarray, prediction: np.ndarray) -> None:
    axes.imshow(image.T, cmap="gray", origin="lower", vmin=np.percentile(image, 1), vmax=np.percentile(image, 99))
    for c in range(1, int(max(label.max(), prediction.max())) + 1):
        for mask, style in ((label == c, "dashed"), (prediction == c, "solid")):
            if mask.any():
                axes.contour(mask.T, levels=[0.5], colors=[_COLOURS[(c - 1) % len(_COLOURS)]], linestyles=style)
    axes.axis("off")


def _figure(rows: int, columns: int, size: tuple[float, float]) -> tuple[Figure, np.ndarray]:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    return plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")


def _save(figure: Figure, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    return path
