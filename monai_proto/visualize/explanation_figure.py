"""The "this looks like that" figure of one answer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from monai_proto.networks.explanation import Explanation, PrototypeEvidence
from monai_proto.visualize.image_panel import (
    SourceLoader,
    add_panel,
    close_up,
    rgb_image,
    save_figure,
    shorten,
    show_image,
    show_note,
    show_source,
)

__all__ = ["draw_explanation"]
_FOR, _AGAINST, _ABSTAINED = "#0072b2", "#d55e00", "#b00020"  # blue and vermilion also differ to the colour-blind
_WIDE, _GAP = 3.0, 0.15  # of a column and between columns, in inches
_PANEL_TITLE: dict[str, Any] = {"fontsize": 9, "loc": "left", "pad": 3, "parse_math": False}
_MOST_OPPOSING = 2  # rows against the answer
_MOST_CLASSES = 10  # bars that fit beside the image


def draw_explanation(
    explanation: Explanation,
    image: Any,
    load_source: SourceLoader,
    class_names: Sequence[str],
    path: str | Path,
    most_supporting: int = 3,
) -> Path:
    """
    Draw an answer and the training images that it rests on.

    At the top the image and the probabilities of the classes; below it a row for each prototype: the image with the
    prototype's activation (scaled from its lowest to its highest value) and the most similar patch, the prototype's
    training image with its patch, both patches close up (with half a patch around them), the similarity, and what the
    prototype adds to the answer's logit.

    Args:
        explanation: of one 2-D image.
        image: what the network saw, (3, H, W) with values 0 to 255 or (H, W, 3); boxes are fractions of its extent.
        load_source: from the id of a training image to the image, in the same frame; an ``OSError`` or ``LookupError``
            from it is noted in the figure.
        class_names: of the C classes.
        path: PNG to write; its folder is made when it is missing.
        most_supporting: rows for the answer; two at the most are against it.

    Returns:
        ``path``.

    Raises:
        ValueError: when names and probabilities differ in number, an image is not in 0 .. 255 with three channels, or a
            box or an activation is not one of a 2-D image.
    """
    if len(class_names) != len(explanation.probabilities):
        raise ValueError(
            f"class_names must have one name for each of {len(explanation.probabilities)} classes, "
            f"got {len(class_names)}."
        )
    picture = rgb_image(image)
    names = [shorten(str(name), 24) for name in class_names]
    rows = [(evidence, _FOR) for evidence in explanation.supporting[:most_supporting]]
    rows += [(evidence, _AGAINST) for evidence in explanation.opposing[:_MOST_OPPOSING]]
    tall = float(np.clip(_WIDE * picture.shape[0] / picture.shape[1], 1.9, 4.0))
    step = tall + 0.45  # with the title of a panel
    figure = Figure(figsize=(3 * (_WIDE + _GAP) + _GAP, 0.45 + (len(rows) + 1) * step))
    columns = [_GAP + column * (_WIDE + _GAP) for column in range(3)]
    _write_title(figure, explanation, names)
    overview = add_panel(figure, columns[0], 0.75, _WIDE, tall)
    show_image(overview, picture)
    overview.set_title(shorten(explanation.image_id, 36), **_PANEL_TITLE)
    _draw_probabilities(add_panel(figure, columns[1] + 1.4, 0.75, 2 * _WIDE - 1.4, tall), explanation, names)
    largest = max((abs(evidence.contribution) for evidence, _ in rows), default=0.0) or 1.0
    for row, (evidence, colour) in enumerate(rows, start=1):
        top = 0.75 + row * step
        here, there = (add_panel(figure, left, top, _WIDE, tall) for left in columns[:2])
        _write_share(
            add_panel(figure, columns[2], top - 0.2, _WIDE, 1.1), evidence, explanation, names, colour, largest
        )
        show_image(here, _with_heat(picture, evidence.activation), evidence.box)
        here.set_title("this part of the image", **_PANEL_TITLE)
        patches = {"this patch": close_up(picture, evidence.box)}
        if evidence.source is None:
            show_note(there, "prototype was not pushed: it has no training image")
        else:
            there.set_title("looks like this training image", **_PANEL_TITLE)
            source = show_source(there, evidence.source.image_id, evidence.source.box, load_source)
            if source is not None:
                patches["training patch"] = close_up(source, evidence.source.box)
        for column, (title, patch) in enumerate(patches.items()):
            left = columns[2] + column * _WIDE / 2
            axes = add_panel(figure, left, top + 1.2, _WIDE / 2 - 0.1, tall - 1.2)
            show_image(axes, patch)
            axes.set_title(title, **_PANEL_TITLE)
    return save_figure(figure, path)


def _write_title(figure: Figure, explanation: Explanation, names: Sequence[str]) -> None:
    answer = explanation.answer
    figures = f"probability {float(explanation.probabilities[answer]):.2f}, uncertainty {explanation.uncertainty:.2f}"
    if explanation.abstained:
        text, colour = f"Abstained: too uncertain to answer. Most likely {names[answer]}, {figures}", _ABSTAINED
    else:
        text, colour = f"Answer: {names[answer]}, {figures}. Not abstained", "black"
    style: dict[str, Any] = {"fontsize": 12, "fontweight": "bold", "color": colour, "parse_math": False}
    figure.text(_GAP / figure.get_figwidth(), 1 - 0.1 / figure.get_figheight(), text, va="top", **style)


def _draw_probabilities(axes: Axes, explanation: Explanation, names: Sequence[str]) -> None:
    probabilities = explanation.probabilities.detach().float().cpu()
    shown = sorted(probabilities.topk(min(_MOST_CLASSES, len(names))).indices.tolist())
    bars = axes.barh(
        range(len(shown)),
        probabilities[shown].numpy(),
        color=[_FOR if c == explanation.answer else "#b8c4cc" for c in shown],
    )
    axes.bar_label(bars, fmt="%.2f", padding=3, fontsize=9)
    axes.set_yticks(range(len(shown)), [names[c] for c in shown], fontsize=9, parse_math=False)
    axes.set(xlim=(0, 1.12), xticks=[])
    rest = "" if len(shown) == len(names) else f" (the {len(shown)} most probable of {len(names)} classes)"
    axes.set_title(f"probability{rest}", **_PANEL_TITLE)
    axes.axis("on")
    axes.invert_yaxis()
    axes.spines[["top", "right", "bottom"]].set_visible(False)


def _with_heat(picture: np.ndarray, activation: torch.Tensor) -> np.ndarray:
    """The picture (H, W, 3) under the activation (h, w), which covers it more the higher it is."""
    if activation.ndim != 2 or 0 in activation.shape:
        raise ValueError(f"activation must have the shape of a 2-D grid, got {tuple(activation.shape)}.")
    heat = activation.detach().float().cpu()
    heat = F.interpolate(heat[None, None], size=picture.shape[:2], mode="bilinear", align_corners=False)[0, 0]
    span = heat.max() - heat.min()
    if not span > 0:
        return picture  # the same everywhere (a pooled embedding): no part stands out
    share = ((heat - heat.min()) / span).numpy()
    colours = np.asarray(colormaps["turbo"](share))[..., :3] * 255
    cover = 0.5 * share[..., None]
    return ((1 - cover) * picture + cover * colours).round().astype(np.uint8)


def _write_share(
    axes: Axes,
    evidence: PrototypeEvidence,
    explanation: Explanation,
    names: Sequence[str],
    colour: str,
    largest: float,
) -> None:
    logit = float(explanation.logits[explanation.answer])
    # of a logit that is not positive a share means nothing
    share = f" ({evidence.contribution / logit:+.0%})" if logit > 0 else ""
    answer, direction = names[explanation.answer], "For" if evidence.contribution >= 0 else "Against"
    source = evidence.source
    origin = "no source" if source is None else f"{shorten(source.image_id)}, epoch {source.epoch}"
    lines = [
        f"prototype {evidence.slot} of {names[evidence.label]}",
        origin,
        f"similarity {evidence.similarity:.3f}",
        f"adds {evidence.contribution:+.2f} to logit {logit:.2f}{share}",
    ]
    axes.set(xlim=(-1, 1), ylim=(0, 1))
    style: dict[str, Any] = {"ha": "left", "va": "top", "parse_math": False}
    axes.text(-1, 1.0, f"{direction} {answer}", fontsize=11, fontweight="bold", color=colour, **style)
    axes.text(-1, 0.82, "\n".join(lines), fontsize=9, linespacing=1.4, **style)
    axes.plot([0, 0], [0, 0.16], color="black", linewidth=1)
    axes.barh(0.08, evidence.contribution / largest, height=0.1, color=colour)
