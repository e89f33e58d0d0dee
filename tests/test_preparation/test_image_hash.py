from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from monai_proto.preparation.image_hash import HASH_BITS, near_duplicate_pairs, perceptual_hash, pixel_hash
from monai_proto.preparation.isic.duplicates import DEFAULT_HASH_DISTANCE


def picture(seed: int, size: tuple[int, int] = (96, 72)) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(0, 256, (9, 12, 3)).astype(np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


def distance(first: Image.Image, second: Image.Image) -> int:
    return int((perceptual_hash(first) != perceptual_hash(second)).sum())


def recompressed(image: Image.Image) -> Image.Image:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=60)
    return Image.open(stream).convert("RGB")


@pytest.mark.parametrize(
    "change",
    [
        recompressed,
        lambda image: image.resize((60, 45)),
        lambda image: ImageEnhance.Brightness(image).enhance(0.8),
        lambda image: ImageEnhance.Color(image).enhance(0.7),
    ],
    ids=["recompressed", "smaller", "darker", "paler"],
)
@pytest.mark.parametrize("seed", range(5))
def test_a_changed_copy_stays_near_and_another_picture_far(change, seed: int) -> None:
    assert distance(picture(seed), change(picture(seed))) <= DEFAULT_HASH_DISTANCE
    assert distance(picture(seed), picture(seed + 100)) > 2 * DEFAULT_HASH_DISTANCE


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_flat_image_has_no_perceptual_hash(mode: str) -> None:
    assert perceptual_hash(Image.new(mode, (40, 30), "gray")) is None


def test_pixel_hash_tells_every_pixel_and_the_shape() -> None:
    image = picture(0)
    other = image.copy()
    other.putpixel((0, 0), (1, 2, 3))
    turned = Image.frombytes("RGB", image.size[::-1], image.tobytes())
    assert pixel_hash(image) == pixel_hash(image.copy())
    assert len({pixel_hash(image), pixel_hash(other), pixel_hash(turned)}) == 3


@given(seed=st.integers(0, 2**16), num=st.integers(0, 20), max_distance=st.integers(0, 120), missing=st.booleans())
@settings(max_examples=60, deadline=None)
def test_pairs_are_those_of_a_slow_loop(seed: int, num: int, max_distance: int, missing: bool) -> None:
    rng = np.random.default_rng(seed)
    base = rng.random(HASH_BITS) < 0.5
    hashes: list = [base ^ (rng.random(HASH_BITS) < rng.uniform(0, 0.3)) for _ in range(num)]
    if missing and num:
        hashes[num // 2] = None
    expected = []
    for first in range(num):
        for second in range(first + 1, num):
            if hashes[first] is not None and hashes[second] is not None:
                bits = int(np.sum(hashes[first] != hashes[second]))
                if bits <= max_distance:
                    expected.append((first, second, bits))
    assert near_duplicate_pairs(hashes, max_distance) == expected


def test_pairs_across_blocks_are_found() -> None:
    hashes = list(np.random.default_rng(0).random((2100, HASH_BITS)) < 0.5)
    hashes[2099] = ~hashes[3]
    hashes[2050] = hashes[1].copy()
    assert near_duplicate_pairs(hashes, 10) == [(1, 2050, 0)]
