"""Reads every image and mask of a dermoscopy data set once, and marks what cannot be used."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pooch
from PIL import Image
from rich.console import Console
from rich.progress import track

from monai_proto.data.color_image import describe_conversion, read_color_image
from monai_proto.preparation.image_hash import perceptual_hash, pixel_hash
from monai_proto.preparation.isic.case import IsicCase, IsicSource

__all__ = ["ImageHashes", "check_images"]


@dataclass(frozen=True)
class ImageHashes:
    """
    What duplicates are found by.

    Args:
        pixels: hash of the pixels, equal for equal pictures.
        look: perceptual hash (256,), bool; None for an image without contrast.
    """

    pixels: str
    look: np.ndarray | None


def check_images(
    source: IsicSource, min_size: int = 0, workers: int | None = None, console: Console | None = None
) -> dict[str, ImageHashes]:
    """
    Read every image that is still usable; sets ``problems``, ``notes`` and ``checksums``, and drops unusable masks.

    Args:
        source: the images.
        min_size: pixels that width and height must have at least.
        workers: threads that read at the same time (decoding and hashing run outside of Python's lock); None for one
            a core.
        console: where a progress bar is shown; None for nowhere.

    Returns:
        hashes of the usable images by their file.
    """
    cases = [case for case in source.cases if not case.problems]
    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        checked = pool.map(lambda case: _check(case, source.root, min_size), cases)
        shown = track(checked, "Checking images", len(cases), console=console, disable=console is None)
        return {case.image_file: hashes for case, hashes in zip(cases, shown, strict=True) if hashes}


def _check(case: IsicCase, root: Path, min_size: int) -> ImageHashes | None:
    try:
        image = read_color_image(root / case.image_file, min_size)
    except ValueError as error:
        case.problems.append(f"{case.image}: {error.__cause__}")
        return None
    case.notes += describe_conversion(root / case.image_file)
    if case.mask:
        _check_mask(case, case.mask, root, image.size)
    keys = {"image": case.image, "mask": case.mask}
    case.checksums = {key: pooch.file_hash(root / file, "sha256") for key, file in keys.items() if file}
    hashes = ImageHashes(pixel_hash(image), perceptual_hash(image))
    if hashes.look is None:
        case.notes.append("hardly any contrast: not searched for near-duplicates")
    return hashes


def _check_mask(case: IsicCase, file: str, root: Path, size: tuple[int, int]) -> None:
    """A mask that does not fit is dropped, with a note: the image and its label are none the worse for it."""
    try:
        with Image.open(root / file) as mask:
            mask.load()
            if mask.size == size:
                return
            trouble = f"has {mask.width}x{mask.height} pixels, the image {size[0]}x{size[1]}"
    except Exception as error:  # what a decoder raises on damaged bytes is not limited to a few types
        trouble = f"cannot be read: {error}"
    case.notes.append(f"mask {file} left out: it {trouble}")
    case.mask = None
