"""One picture in a figure, with a patch marked in it: what figures of explanations and of prototypes share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

__all__ = [
    "UNREADABLE",
    "SourceLoader",
    "add_panel",
    "close_up",
    "rgb_image",
    "save_figure",
    "shorten",
    "show_image",
    "show_note",
    "show_source",
]

SourceLoader = Callable[[str], Any]
"""From an image id to its picture in the frame of the network's input, as :func:`rgb_image` takes it."""

UNREADABLE = (OSError, LookupError, SyntaxError)
"""What loading an image raises that is not there or damaged; PIL has ``SyntaxError`` for a damaged PNG."""

_BOX_COLOUR = "#00e5ff"  # far from every colour of skin, fat and vessels


def rgb_image(image: Any) -> np.ndarray:
    """
    Args:
        image: (3, H, W) with values 0 to 255, or (H, W, 3); a tensor, an array or a PIL image in RGB.

    Returns:
        (H, W, 3), uint8.

    Raises:
        ValueError: when the shape or the range is another, as of an image that is scaled to 0 .. 1 or normalised.
    """
    array = np.asarray(image.detach().cpu() if hasattr(image, "detach") else image)
    if array.ndim == 3 and array.shape[0] == 3:
        array = np.moveaxis(array, 0, -1)
    if array.ndim != 3 or array.shape[-1] != 3 or 0 in array.shape:
        raise ValueError(f"image must have shape (3, H, W) or (H, W, 3), got {array.shape}.")
    if array.dtype == np.uint8:
        return array
    lowest, highest = float(array.min()), float(array.max())
    scaled = np.issubdtype(array.dtype, np.floating) and 0 < highest <= 1
    if not (lowest >= 0 and highest <= 255) or scaled:  # also false with NaN
        raise ValueError(f"image must have values in 0 .. 255, got values from {lowest:.4g} to {highest:.4g}.")
    return array.round().astype(np.uint8)


def add_panel(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """
    Axes without an axis at a place in inches from the figure's left and top edge. Laying figures out by hand takes half
    the time of a figure: matplotlib's layout engines draw every text several times.
    """
    figure_width, figure_height = figure.get_size_inches()
    bottom = figure_height - top - height
    axes = figure.add_axes((left / figure_width, bottom / figure_height, width / figure_width, height / figure_height))
    axes.axis("off")
    return axes


def close_up(image: np.ndarray, box: Sequence[float]) -> np.ndarray:
    """The part of an image (H, W, 3) within a box in fractions, and half of the box's extent around it."""
    height, width = image.shape[:2]
    y0, y1, x0, x1 = _box_pixels(box, height, width)
    y_margin, x_margin = (y1 - y0) / 2, (x1 - x0) / 2
    rows = slice(max(0, int(y0 - y_margin)), min(height, int(np.ceil(y1 + y_margin))))
    columns = slice(max(0, int(x0 - x_margin)), min(width, int(np.ceil(x1 + x_margin))))
    return image[rows, columns]


def show_image(axes: Axes, image: np.ndarray, box: Sequence[float] | None = None) -> None:
    """
    Show (H, W, 3) uint8 without an axis, and outline a box in fractions (y0, y1, x0, x1).

    Raises:
        ValueError: when the box is not (y0, y1, x0, x1) with 0 <= start < stop <= 1.
    """
    height, width = image.shape[:2]
    axes.imshow(image, extent=(0, width, height, 0), interpolation="bilinear")
    axes.set_anchor("NW")
    if box is not None:
        y0, y1, x0, x1 = _box_pixels(box, height, width)
        outline = Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, edgecolor=_BOX_COLOUR, linewidth=2, clip_on=False)
        outline.set_path_effects([withStroke(linewidth=4, foreground="black", alpha=0.7)])
        axes.add_patch(outline)


def show_source(axes: Axes, image_id: str, box: Sequence[float], load_source: SourceLoader) -> np.ndarray | None:
    """
    Show the training image of a prototype with its patch; in its place a note where the image is not to be had.

    Returns:
        the image (H, W, 3) uint8; None when loading it raised one of ``UNREADABLE``.
    """
    try:
        image = rgb_image(load_source(image_id))
    except UNREADABLE as error:
        show_note(axes, f"source image is missing or cannot be read ({type(error).__name__}): {shorten(image_id)}")
        return None
    show_image(axes, image, box)
    return image


def show_note(axes: Axes, text: str) -> None:
    """A grey panel that says why there is no picture."""
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.add_patch(Rectangle((0, 0), 1, 1, facecolor="#eeeeee", edgecolor="#999999", linestyle="dashed"))
    lines = wrap(text, 26)
    axes.text(0.5, 0.5, "\n".join(lines), ha="center", va="center", fontsize=8, color="#444444", parse_math=False)


def shorten(text: str, most: int = 32) -> str:
    """At most ``most`` characters; of a longer text its start and its end, since paths differ there."""
    return text if len(text) <= most else f"{text[: most // 2 - 1]}…{text[len(text) - most // 2 :]}"


def save_figure(figure: Figure, path: str | Path) -> Path:
    """Write a PNG into a folder that is made when it is missing."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # a level of 3 instead of 6 saves a third of a figure's time for a few percent of size
    figure.savefig(path, dpi=120, format="png", facecolor="white", pil_kwargs={"compress_level": 3})
    return path


def _box_pixels(box: Sequence[float], height: int, width: int) -> tuple[float, float, float, float]:
    """Rows and columns (y0, y1, x0, x1) of a box in fractions."""
    if len(box) != 4 or not all(-1e-6 <= a < b <= 1 + 1e-6 for a, b in (box[:2], box[2:])):
        raise ValueError(f"box must be fractions (y0, y1, x0, x1) with start below stop, got {tuple(box)}.")
    return box[0] * height, box[1] * height, box[2] * width, box[3] * width
