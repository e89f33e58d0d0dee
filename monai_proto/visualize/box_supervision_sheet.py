"""Sheets of pictures that show how a promptable segmenter learns from boxes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import AbstractPathEffect, withStroke

from monai_proto.transforms.prompts_from_boxes import prompted_box
from monai_proto.visualize.image_panel import add_panel, rgb_image, save_figure, shorten, show_image

__all__ = ["BoxPicture", "draw_before_after", "draw_box_supervision"]

_WIDTH, _HEIGHT, _CAPTION, _GAP = 2.6, 2.1, 0.26, 0.08  # of a panel and what lies around it, in inches
_OUTLINE: list[AbstractPathEffect] = [withStroke(linewidth=1, foreground="black")]
_SMALL, _BIG, _POINTS, _MASK, _TRUTH = "#ffe45e", "#00e5ff", "#ff4fd8", "#39ff14", "#ffffff"


class BoxPicture(NamedTuple):
    """
    One object in the frame of its image, as NumPy arrays.

    Attributes:
        name: of the image.
        image: (3, H, W), 0 .. 255.
        small_box: (4,), ``[x1, y1, x2, y2]`` in pixels.
        big_box: (4,).
        pseudo_label: bool (H, W).
        entropy: of the pseudo-label, in nats.
        trusted: whether it trains.
        prompts: name -> points (N, 2) in pixels, without any where the prompt is a box.
        before: name of a prompt -> mask before adaptation, bool (H, W).
        after: name of a prompt -> mask now, bool (H, W).
        truth: bool (H, W); None where it is not known.
    """

    name: str
    image: np.ndarray
    small_box: np.ndarray
    big_box: np.ndarray
    pseudo_label: np.ndarray
    entropy: float
    trusted: bool
    prompts: dict[str, np.ndarray]
    before: dict[str, np.ndarray]
    after: dict[str, np.ndarray]
    truth: np.ndarray | None = None


def draw_box_supervision(pictures: Sequence[BoxPicture], title: str, path: str | Path) -> Path:
    """
    One row an object: the image with its boxes, the pseudo-label with its entropy, and the prediction for each prompt.

    Args:
        pictures: at least one, all with the same prompts.
        title: of the sheet.
        path: PNG to write.
    """
    columns = 2 + len(pictures[0].after)
    figure, panels = _sheet(len(pictures), columns, title)
    for row, picture in zip(panels, pictures, strict=True):
        _show(row[0], picture, shorten(picture.name, 30))
        _outline_boxes(row[0], picture)
        trust = "trusted" if picture.trusted else "not trusted"
        _show(row[1], picture, f"pseudo-label: {picture.entropy:.3f} nats, {trust}", picture.pseudo_label)
        for axes, (name, mask) in zip(row[2:], picture.after.items(), strict=True):
            _show(axes, picture, f"{_words(name)}{_overlap_text(mask, picture.truth)}", mask)
            _mark_prompt(axes, picture, name)
    _explain(figure, "small box", _SMALL, "big box", _BIG, "mask", _MASK, "ground truth", _TRUTH)
    return save_figure(figure, path)


def draw_before_after(pictures: Sequence[BoxPicture], title: str, path: str | Path) -> Path:
    """
    One row an object: for each prompt the mask before and after adaptation, with the overlap where truth is known.

    Args:
        pictures: at least one, all with the same prompts.
        title: of the sheet.
        path: PNG to write.
    """
    names = list(pictures[0].after)
    figure, panels = _sheet(len(pictures), 2 * len(names), title)
    for row, picture in zip(panels, pictures, strict=True):
        for column, name in enumerate(names):
            for offset, (word, masks) in enumerate((("before", picture.before), ("after", picture.after))):
                axes = row[2 * column + offset]
                text = f"{_words(name)}, {word}{_overlap_text(masks[name], picture.truth)}"
                _show(axes, picture, text, masks[name])
                _mark_prompt(axes, picture, name)
        _name(row[0], picture)
    _explain(figure, "big box", _BIG, "points", _POINTS, "mask", _MASK, "ground truth", _TRUTH)
    return save_figure(figure, path)


def _sheet(rows: int, columns: int, title: str) -> tuple[Figure, list[list[Axes]]]:
    row_height = _HEIGHT + _CAPTION
    figure = Figure(figsize=(columns * (_WIDTH + _GAP) + _GAP, rows * row_height + 0.7))
    add_panel(figure, _GAP, 0.05, 4.0, 0.3).text(0, 0.5, title, va="center", fontsize=11, parse_math=False)
    panels = [
        [
            add_panel(figure, _GAP + column * (_WIDTH + _GAP), 0.4 + _CAPTION + row * row_height, _WIDTH, _HEIGHT)
            for column in range(columns)
        ]
        for row in range(rows)
    ]
    return figure, panels


def _show(axes: Axes, picture: BoxPicture, caption: str, mask: np.ndarray | None = None) -> None:
    image = rgb_image(picture.image)
    show_image(axes, image)
    axes.set_anchor("N")
    axes.set_title(caption, fontsize=8, pad=2, parse_math=False)
    if picture.truth is not None and mask is not None:
        _contour(axes, picture.truth, _TRUTH, 1.0)
    if mask is not None:
        _contour(axes, mask, _MASK, 1.4)


def _name(axes: Axes, picture: BoxPicture) -> None:
    """In the corner of the image, where captions leave no room."""
    axes.text(
        0.01, 0.02, shorten(picture.name, 40), transform=axes.transAxes, fontsize=6, color="white", parse_math=False
    ).set_path_effects(_OUTLINE)


def _contour(axes: Axes, mask: np.ndarray, colour: str, width: float) -> None:
    if mask.any() and not mask.all():
        y, x = (np.arange(side) + 0.5 for side in mask.shape)
        axes.contour(x, y, mask.astype(np.float32), levels=[0.5], colors=[colour], linewidths=width)


def _outline_boxes(axes: Axes, picture: BoxPicture) -> None:
    for box, colour in ((picture.small_box, _SMALL), (picture.big_box, _BIG)):
        x1, y1, x2, y2 = box
        axes.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=colour, linewidth=1.3))


def _mark_prompt(axes: Axes, picture: BoxPicture, name: str) -> None:
    points = picture.prompts[name]
    if len(points):
        axes.scatter(points[:, 0] + 0.5, points[:, 1] + 0.5, s=9, color=_POINTS, edgecolors="black", linewidths=0.4)
    if "box" in name or name == "both":
        x1, y1, x2, y2 = prompted_box(picture.small_box, picture.big_box, name)
        axes.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=_BIG, linewidth=1.0))


def _overlap_text(mask: np.ndarray, truth: np.ndarray | None) -> str:
    if truth is None:
        return ""
    union = (mask | truth).sum()
    return f": IoU {(mask & truth).sum() / union if union else 1.0:.2f}"


def _words(name: str) -> str:
    return name.replace("_", " ")


def _explain(figure: Figure, *words: str) -> None:
    """What the colours mean, at the foot."""
    width, height = figure.get_size_inches()
    axes = add_panel(figure, _GAP, height - 0.25, width - 2 * _GAP, 0.2)
    for index in range(0, len(words), 2):
        axes.text(0.02 + index / 2 * 0.2, 0.5, "■", color=words[index + 1], fontsize=11, va="center").set_path_effects(
            _OUTLINE
        )
        axes.text(0.05 + index / 2 * 0.2, 0.5, words[index], fontsize=8, va="center")
