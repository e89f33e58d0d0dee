"""Dermoscopic images of seven kinds of skin lesion, with exact masks, made from a seed alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from monai_proto.phantoms.dermoscopy.artefacts import add_artefacts
from monai_proto.phantoms.dermoscopy.lesion_kinds import (
    paint_actinic_keratosis,
    paint_basal_cell_carcinoma,
    paint_benign_keratosis,
    paint_dermatofibroma,
    paint_melanoma,
    paint_nevus,
    paint_vascular_lesion,
)
from monai_proto.phantoms.dermoscopy.lesions import BorderStyle, LesionField, make_lesion
from monai_proto.phantoms.dermoscopy.skin import PigmentCanvas, paint_skin, sample_skin_tone
from monai_proto.phantoms.dermoscopy.view import DermoscopyView
from monai_proto.phantoms.phantom import phantom_generator

__all__ = ["DERMOSCOPY_CLASSES", "DermoscopyPhantom", "make_dermoscopy_phantom"]

_STREAM = 3
_SMALLEST_SIDE = 32


class DermoscopyPhantom(NamedTuple):
    """One synthetic dermoscopic image.

    Attributes:
        image: RGB (H, W, 3), uint8.
        mask: 1 within the lesion's outline, also where hairs or black corners hide it, and 0 elsewhere (H, W), uint8.
        label: index into ``DERMOSCOPY_CLASSES``.
    """

    image: np.ndarray
    mask: np.ndarray
    label: int


class _LesionKind(NamedTuple):
    """What sets the lesions of one class apart."""

    border: BorderStyle
    paint: Callable[[PigmentCanvas, LesionField, DermoscopyView, np.random.Generator], None]


_KINDS = {
    "akiec": _LesionKind(
        BorderStyle((2.6, 4.8), (1.0, 1.6), (0.05, 0.18), (0.02, 0.08), (0.7, 2.0)), paint_actinic_keratosis
    ),
    "bcc": _LesionKind(
        BorderStyle((2.4, 5.0), (1.0, 1.5), (0.05, 0.15), (0.02, 0.07), (0.5, 1.8)), paint_basal_cell_carcinoma
    ),
    "bkl": _LesionKind(
        BorderStyle((2.4, 4.8), (1.0, 1.6), (0.05, 0.16), (0.04, 0.10), (0.12, 0.6)), paint_benign_keratosis
    ),
    "df": _LesionKind(
        BorderStyle((2.4, 4.4), (1.0, 1.3), (0.02, 0.08), (0.00, 0.03), (0.8, 2.0)), paint_dermatofibroma
    ),
    "mel": _LesionKind(BorderStyle((2.2, 4.7), (1.0, 1.6), (0.12, 0.26), (0.05, 0.13), (0.2, 0.9)), paint_melanoma),
    "nv": _LesionKind(BorderStyle((2.0, 4.8), (1.0, 1.5), (0.02, 0.10), (0.00, 0.04), (0.4, 1.5)), paint_nevus),
    "vasc": _LesionKind(
        BorderStyle((1.9, 4.2), (1.0, 1.5), (0.03, 0.14), (0.01, 0.05), (0.15, 0.8)), paint_vascular_lesion
    ),
}

DERMOSCOPY_CLASSES = tuple(_KINDS)


def make_dermoscopy_phantom(
    seed: int, index: int, label: int, image_size: tuple[int, int] = (150, 200), view: int = 0
) -> DermoscopyPhantom:
    """One image of one lesion.

    The classes are those of HAM10000 and differ in what dermatologists look for: regularity of the outline, number of
    colours, pigment network, globules, cysts, vessels, scale, scars. Skin, hairs, ruler marks, gel bubbles, light and
    the round field's black corners come from random streams that do not know the class.

    Args:
        seed: seed of the data set, 0 or more.
        index: number of the lesion, 0 or more.
        label: its class, an index into ``DERMOSCOPY_CLASSES``.
        image_size: height and width in pixels; the image shows about 16 mm of skin across its width.
        view: number of the photograph, 0 or more: another one shows the same lesion on the same skin with another
            turn, magnification, place, light, and other artefacts.

    Raises:
        ValueError: when ``seed``, ``index`` or ``view`` is negative, ``label`` is no class, or ``image_size`` is small.
    """
    if not 0 <= label < len(DERMOSCOPY_CLASSES):
        raise ValueError(f"label must lie between 0 and {len(DERMOSCOPY_CLASSES) - 1}, got {label}.")
    if view < 0:
        raise ValueError(f"view must be 0 or more, got {view}.")
    if len(image_size) != 2 or min(image_size) < _SMALLEST_SIDE:
        raise ValueError(f"image_size must be a height and a width of {_SMALLEST_SIDE} or more, got {image_size}.")
    skin = phantom_generator(seed, _STREAM, index, 0)
    growth = phantom_generator(seed, _STREAM, index, 1, label)
    photograph = phantom_generator(seed, _STREAM, index, 2, view)

    kind = _KINDS[DERMOSCOPY_CLASSES[label]]
    geometry = DermoscopyView.sample(image_size, photograph)
    points = geometry.points()
    canvas = PigmentCanvas(image_size)
    tone = sample_skin_tone(skin)
    paint_skin(canvas, points, skin)
    lesion = make_lesion(points, kind.border, growth)
    kind.paint(canvas, lesion, geometry, growth)
    image = _photograph(add_artefacts(canvas.render(tone), photograph), photograph)
    return DermoscopyPhantom(image=image, mask=(lesion.distance < 0).astype(np.uint8), label=label)


def _photograph(image: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Focus and noise of the camera, and 8 bits."""
    focus = generator.uniform(0.25, 0.8) * image.shape[1] / 200
    image = ndimage.gaussian_filter(image, (focus, focus, 0))
    noise = generator.standard_normal(image.shape, dtype=np.float32)
    image = image + np.float32(generator.uniform(0.004, 0.014)) * noise
    return np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
