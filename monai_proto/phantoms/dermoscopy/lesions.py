"""The outline of a skin lesion: a star-shaped region, from a smooth oval to a notched map, with a soft or hard edge."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from monai_proto.phantoms.dermoscopy.textures import bend

__all__ = ["BorderStyle", "LesionField", "make_lesion"]

_NUM_HARMONICS = 16
_NUM_KNOTS = 720


@dataclass(frozen=True)
class BorderStyle:
    """How the outlines of one kind of lesion vary: ranges (lowest, highest), drawn evenly.

    Attributes:
        radius: mean radius in mm.
        elongation: long axis over short axis.
        asymmetry: amplitude of the waves with 2 to 4 periods around the lesion, as a share of the radius.
        notches: amplitude of the finer waves, as a share of the radius.
        edge: width over which pigment fades at the outline, in mm.
    """

    radius: tuple[float, float]
    elongation: tuple[float, float]
    asymmetry: tuple[float, float]
    notches: tuple[float, float]
    edge: tuple[float, float]


@dataclass(frozen=True)
class LesionField:
    """One lesion in one view.

    Attributes:
        points: the lesion's coordinates of all pixels (3, H, W), in mm.
        distance: signed distance to the outline (H, W) in mm, negative inside, first-order, exact at the outline.
        radius: mean radius in mm.
        edge: width over which pigment fades at the outline, in mm.
    """

    points: np.ndarray
    distance: np.ndarray
    radius: float
    edge: float

    def share(self, edge: float | None = None, inset: float = 0.0) -> np.ndarray:
        """How much of the lesion's pigment is at each pixel (H, W), 0 to 1, half of it ``inset`` mm inside the outline.

        Args:
            edge: width of the fade in mm; None for the lesion's own.
            inset: how far inside the fade lies, in mm.
        """
        fade = np.float32(self.edge if edge is None else edge)
        linear = np.clip(np.float32(0.5) - (self.distance + np.float32(inset)) / fade, 0, 1)
        return linear * linear * (3 - 2 * linear)

    @property
    def depth(self) -> np.ndarray:
        """How far inside each pixel lies (H, W): 0 at the outline and outside, about 1 at the centre."""
        return np.clip(-self.distance / np.float32(self.radius), 0, 1)


def make_lesion(points: np.ndarray, style: BorderStyle, generator: np.random.Generator) -> LesionField:
    """Draw one outline.

    Args:
        points: the lesion's coordinates of all pixels (3, H, W), in mm.
        style: ranges to draw from.
        generator: the lesion's random stream.
    """
    radius, elongation = generator.uniform(*style.radius), generator.uniform(*style.elongation)
    asymmetry, notches = generator.uniform(*style.asymmetry), generator.uniform(*style.notches)
    edge = generator.uniform(*style.edge)
    long_axis = generator.uniform(0, 2 * np.pi)

    angles = np.linspace(-np.pi, np.pi, _NUM_KNOTS + 1)
    orders = np.arange(2, _NUM_HARMONICS)
    amplitudes = np.where(orders <= 4, asymmetry / np.sqrt(3), 2 * notches / orders) * np.sqrt(2)
    amplitudes = amplitudes * generator.normal(0, 1, size=orders.size)
    phases = generator.uniform(0, 2 * np.pi, size=orders.size)
    waves = (amplitudes[:, None] * np.cos(orders[:, None] * angles + phases[:, None])).sum(0)
    # the exponential keeps the radius above 0 however large the waves are
    oval = 1 / np.sqrt(np.cos(angles - long_axis) ** 2 / elongation + np.sin(angles - long_axis) ** 2 * elongation)
    outline = radius * oval * np.exp(np.clip(waves, -0.6, 0.45))
    slope = np.gradient(outline, angles)

    # small against its wavelength, so that the outline is frayed and yet has no islands
    frayed = bend(points, min(0.07, 0.8 * notches), 1.2, generator)
    x, y = frayed[0], frayed[1]
    angle, from_centre = np.arctan2(y, x), np.sqrt(x * x + y * y)
    # knots lie densely and evenly, so the nearest one is as good as interpolation and four times faster
    knot = np.rint((angle + np.float32(np.pi)) * np.float32(_NUM_KNOTS / (2 * np.pi))).astype(np.intp)
    reach, steepness = outline.astype(np.float32)[knot], (slope / outline).astype(np.float32)[knot]
    # first-order at the outline; towards the centre, where all directions meet, one depth for all of them
    out = from_centre / reach
    near_outline = np.minimum(out, 1) ** 2
    scale = np.float32(radius) + near_outline * (reach / np.sqrt(1 + steepness * steepness) - np.float32(radius))
    distance = (out - 1) * scale
    return LesionField(points=points, distance=distance, radius=radius, edge=edge)
