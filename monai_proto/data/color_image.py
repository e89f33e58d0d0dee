"""Reads a photograph of any mode as 8-bit RGB, the right way up, or says why that cannot be done."""

from __future__ import annotations

import os

import numpy as np
from PIL import ExifTags, Image, ImageOps

__all__ = ["describe_conversion", "read_color_image", "to_rgb"]

_MODES = ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV")
_SIXTEEN_BIT_MODES = ("I;16", "I;16L", "I;16B", "I;16N")
_PLAIN_MODES = ("RGB", "RGBX")


def read_color_image(file: str | os.PathLike, min_size: int = 0) -> Image.Image:
    """
    Read an image file to its end; of a file with several frames the first one.

    Args:
        file: anything that PIL reads.
        min_size: pixels that width and height must have at least.

    Returns:
        image of mode RGB, see :func:`to_rgb`.

    Raises:
        ValueError: naming the file, when it does not exist, is no image, is truncated, is smaller than ``min_size``,
            has more pixels than ``PIL.Image.MAX_IMAGE_PIXELS`` (a decompression bomb), or has a mode without a known
            range of values.
    """
    try:
        with Image.open(file) as image:
            return to_rgb(image, min_size)
    except Exception as error:  # what a decoder raises on damaged bytes is not limited to a few types
        raise ValueError(f"Image {os.fspath(file)} cannot be read: {error}") from error


def to_rgb(image: Image.Image, min_size: int = 0) -> Image.Image:
    """
    Turn an opened image into RGB as a viewer would show it.

    - turned and mirrored as its EXIF orientation says;
    - grey-scale, palette and CMYK images become RGB (CMYK by PIL's formula: embedded colour profiles are not applied);
    - transparency is composited on white;
    - 16-bit grey-scale is scaled from 0..65535 to 0..255, where PIL alone would clip it at 255; of 16-bit colour PIL
      keeps the upper byte.

    Args:
        image: image as ``PIL.Image.open`` gives it; it need not be loaded.
        min_size: pixels that width and height must have at least.

    Returns:
        image of mode RGB, with the ``format`` of the original.

    Raises:
        ValueError: when it is too small or too large, or has a mode without a known range (32-bit integers, floats).
        OSError: when the file is truncated.
    """
    width, height = image.size
    if min(width, height) < min_size:
        raise ValueError(f"it has {width}x{height} pixels, needed are at least {min_size}x{min_size}")
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and width * height > limit:  # PIL itself only warns up to twice this number
        raise ValueError(f"it has {width}x{height} pixels, more than the {limit} that are taken for no bomb")
    if image.mode not in _MODES + _SIXTEEN_BIT_MODES:
        raise ValueError(f"mode {image.mode} has no known range of values, expected 8 or 16 bits a channel")
    upright = ImageOps.exif_transpose(image)
    if upright.mode in _SIXTEEN_BIT_MODES:
        upright = Image.fromarray(np.round(np.asarray(upright) / 257.0).astype(np.uint8))
    if upright.has_transparency_data:
        opaque = Image.new("RGBA", upright.size, "white")
        opaque.alpha_composite(upright.convert("RGBA"))
        upright = opaque
    rgb = upright.convert("RGB")
    rgb.format = image.format  # PIL drops it; MONAI puts it into the meta data, and None does not collate
    return rgb


def describe_conversion(file: str | os.PathLike) -> list[str]:
    """What :func:`read_color_image` changes about an image beyond decoding it, in words; empty for plain RGB."""
    with Image.open(file) as image:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
        mode, transparent, frames = image.mode, image.has_transparency_data, getattr(image, "n_frames", 1)
    changes = [] if mode in _PLAIN_MODES else [f"mode {mode} read as RGB"]
    if frames > 1:
        changes.append(f"first of {frames} frames")
    if transparent:
        changes.append("transparency composited on white")
    if orientation not in (0, 1):
        changes.append(f"turned as its EXIF orientation {orientation} says")
    return changes
