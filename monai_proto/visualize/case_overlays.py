"""Cases of an evaluation with what is there and what was found, or the answer that was given."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

__all__ = ["AnswerPicture", "CaseRow", "Plane", "draw_answers", "draw_case_overlays"]

_PLANES = ("sagittal", "coronal", "axial")


class Plane(NamedTuple):
    """
    A cut through a volume, or a photograph.

    Attributes:
        image: (A, B), the axes pointing to the patient's right, front or head; a photograph is (H, W, 3), 0 .. 255.
        truth, prediction: label maps (A, B) or (H, W), 0 for the background.
        spacing: mm along A and B.
        axis: that a cut is perpendicular to, 0 sagittal, 1 coronal, 2 axial; None for a photograph.
    """

    image: np.ndarray
    truth: np.ndarray
    prediction: np.ndarray
    spacing: tuple[float, float] = (1.0, 1.0)
    axis: int | None = None


class CaseRow(NamedTuple):
    """
    A row of the figure.

    Attributes:
        title: such as ``best: case 7``.
        planes: of the case.
        scores: class -> figure that its legend names; NaN where the case has none of it.
    """

    title: str
    planes: Sequence[Plane]
    scores: Mapping[str, float]


class AnswerPicture(NamedTuple):
    """
    A classified picture.

    Attributes:
        image: (H, W, 3), 0 .. 1.
        title: such as ``wrong, surest``.
        label, answer: names of classes.
        probability: of the answer.
    """

    image: np.ndarray
    title: str
    label: str
    answer: str
    probability: float


def draw_case_overlays(rows: Sequence[CaseRow], class_names: Sequence[str], path: str | os.PathLike) -> Path:
    """
    True outlines dashed, predicted ones solid, a colour for each structure, with a legend of names and scores.

    Args:
        rows: cases, as many planes each.
        class_names: of the label values 1 .. C.
        path: PNG to write.
    """
    columns = max(len(row.planes) for row in rows)
    figure, axes = _subplots(len(rows), columns + 1, (3.1 * columns + 2.2, 3.1 * len(rows)), [*[1.0] * columns, 0.6])
    colours = _colours(len(class_names))
    for row, places in zip(rows, axes, strict=True):
        for place, plane in zip(places, row.planes, strict=False):
            _draw_plane(place, plane, colours)
        places[0].set_title(row.title, fontsize=9, loc="left")
        for place in places[len(row.planes) :]:
            place.axis("off")
        _draw_legend(places[-1], row, class_names, colours)
    figure.suptitle("dashed: true outline, solid: predicted outline", fontsize=9)
    return _save(figure, path)


def draw_answers(pictures: Sequence[AnswerPicture], path: str | os.PathLike, columns: int = 3) -> Path:
    """
    Args:
        pictures: three a row, in the order of the rows.
        path: PNG to write.
        columns: pictures a row.
    """
    rows = -(-len(pictures) // columns)
    figure, axes = _subplots(rows, columns, (3.2 * columns, 3.1 * rows))
    for place in axes.flat:
        place.axis("off")
    for place, picture in zip(axes.flat, pictures, strict=False):
        place.imshow(picture.image)
        colour = "tab:green" if picture.label == picture.answer else "tab:red"
        title = f"{picture.title}\nis {picture.label}, answer {picture.answer} {picture.probability:.0%}"
        place.set_title(title, fontsize=8, color=colour)
    return _save(figure, path)


def _draw_plane(place: Any, plane: Plane, colours: Sequence[Any]) -> None:
    if plane.axis is None:
        place.imshow(plane.image.astype(np.uint8))
        truth, prediction = plane.truth, plane.prediction
    else:
        low, high = np.percentile(plane.image, (1, 99))
        image, truth, prediction = (_as_shown(array, plane.axis) for array in plane[:3])
        aspect = plane.spacing[1] / plane.spacing[0]
        place.imshow(image, cmap="gray", origin="lower", vmin=low, vmax=max(high, low + 1e-6), aspect=aspect)
        if plane.axis != 0:
            place.text(0.02, 0.5, "R", color="white", fontsize=8, transform=place.transAxes, va="center")
        place.text(0.98, 0.02, _PLANES[plane.axis], color="white", fontsize=7, transform=place.transAxes, ha="right")
    for value, colour in enumerate(colours, start=1):
        for labels, style, width in ((truth, "dashed", 1.8), (prediction, "solid", 1.1)):
            mask = labels == value
            if mask.any() and not mask.all():
                place.contour(mask.astype(float), levels=[0.5], colors=[colour], linestyles=style, linewidths=width)
    place.axis("off")


def _as_shown(array: np.ndarray, axis: int) -> np.ndarray:
    """Rows upwards; across the body the patient's right on the left, as radiologists look at it."""
    return (array if axis == 0 else array[::-1]).T


def _draw_legend(place: Any, row: CaseRow, class_names: Sequence[str], colours: Sequence[Any]) -> None:
    from matplotlib.lines import Line2D

    place.axis("off")
    handles = []
    for name, colour in zip(class_names, colours, strict=True):
        score = row.scores.get(name, float("nan"))
        told = "not in this case" if np.isnan(score) else f"{score:.3f}"
        handles.append(Line2D([], [], color=colour, label=f"{name}  {told}"))
    place.legend(handles=handles, loc="center left", fontsize=8, frameon=False)


def _colours(count: int) -> list[Any]:
    from matplotlib import colormaps

    bright = (1, 4, 2, 6, 9, 3, 8, 0, 5, 7)  # of tab10: what stands out from grey first
    return [colormaps["tab10"](bright[i % len(bright)]) for i in range(count)]


def _subplots(
    rows: int, columns: int, size: tuple[float, float], widths: Sequence[float] | None = None
) -> tuple[Any, np.ndarray]:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    ratios = {"width_ratios": list(widths)} if widths else {}
    return plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained", gridspec_kw=ratios)


def _save(figure: Any, path: str | os.PathLike) -> Path:
    import matplotlib.pyplot as plt

    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return path
