"""Thin curves with an end: hairs, vessels, streaks; drawn with Pillow at four times the resolution."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

__all__ = ["Stroke", "branching_strokes", "draw_strokes", "wandering_path"]

_SUPERSAMPLING = 4


class Stroke(NamedTuple):
    """One curve.

    Attributes:
        path: points (N, 2) along it, x then y.
        width: at its start, in the path's units.
        end_width: at its end.
    """

    path: np.ndarray
    width: float
    end_width: float


def draw_strokes(image_size: tuple[int, int], strokes: Iterable[Stroke]) -> np.ndarray:
    """Share of each pixel that curves cover, (H, W) float32 from 0 to 1; paths and widths are in pixels."""
    height, width = image_size
    large = Image.new("L", (width * _SUPERSAMPLING, height * _SUPERSAMPLING))
    pen = ImageDraw.Draw(large)
    for stroke in strokes:
        path = (stroke.path + 0.5) * _SUPERSAMPLING
        widths = np.linspace(stroke.width, stroke.end_width, len(path) - 1) * _SUPERSAMPLING
        for start, end, thickness in zip(path[:-1], path[1:], widths, strict=True):
            pen.line([tuple(start), tuple(end)], fill=255, width=max(1, round(thickness)))
    return np.asarray(large.resize((width, height), Image.Resampling.BOX), dtype=np.float32) / np.float32(255)


def wandering_path(
    start: np.ndarray, heading: float, length: float, bend: float, generator: np.random.Generator, num_steps: int = 12
) -> np.ndarray:
    """A path (num_steps + 1, 2) from ``start`` on.

    Args:
        start: first point, x and y.
        heading: direction at the start in radians.
        length: length of the path, in the units of ``start``.
        bend: by how much the direction changes on the way, in radians (standard deviation of the whole turn).
        generator: source of the turns.
        num_steps: number of straight pieces.
    """
    turns = generator.normal(0, bend / num_steps) + generator.normal(0, 0.5 * bend / np.sqrt(num_steps), num_steps)
    headings = heading + np.cumsum(turns)
    steps = length / num_steps * np.stack([np.cos(headings), np.sin(headings)], axis=1)
    return np.concatenate([[start], start + np.cumsum(steps, axis=0)])


def branching_strokes(
    start: np.ndarray, heading: float, length: float, width: float, generator: np.random.Generator, generations: int = 3
) -> list[Stroke]:
    """A vessel that thins and branches like a tree, in the units of ``start``."""
    path = wandering_path(start, heading, length, 0.9, generator, num_steps=8)
    strokes = [Stroke(path, width, 0.6 * width)]
    if generations > 1:
        for step in (4, 6, 8):
            direction = np.arctan2(*(path[step] - path[step - 1])[::-1]) + generator.choice([-1, 1]) * (
                generator.uniform(0.3, 0.9)
            )
            shorter = length * generator.uniform(0.4, 0.7)
            strokes += branching_strokes(path[step], direction, shorter, 0.62 * width, generator, generations - 1)
    return strokes
