from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from monai_proto.preparation.isic.case import IsicCase, IsicSource
from monai_proto.preparation.isic.checks import check_images


def picture(seed: int, size: tuple[int, int] = (48, 36)) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3)).astype(np.uint8))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for seed in range(3):
        picture(seed).save(tmp_path / f"i{seed}.png")
    return tmp_path


def source_of(root: Path, *cases: IsicCase) -> IsicSource:
    return IsicSource(root, "folders", ["mel", "nv"], list(cases), [])


@pytest.mark.parametrize("workers", [1, 3, None])
def test_good_images_get_checksums_and_hashes(root: Path, workers: int | None) -> None:
    picture(7).save(root / "copy.bmp")
    picture(7).save(root / "copy.png")
    cases = [IsicCase(name, name, "nv") for name in ("i0.png", "copy.bmp", "copy.png", "i1.png")]
    hashes = check_images(source_of(root, *cases), workers=workers)
    assert list(hashes) == [case.image for case in cases]
    assert hashes["copy.bmp"].pixels == hashes["copy.png"].pixels != hashes["i0.png"].pixels
    for case in cases:
        assert (case.problems, case.notes) == ([], [])
        assert case.checksums == {"image": hashlib.sha256((root / case.image).read_bytes()).hexdigest()}


def test_what_cannot_be_read_is_a_problem_and_not_read_again(root: Path) -> None:
    (root / "text.jpg").write_text("no image")
    picture(5, (20, 48)).save(root / "small.png")
    picture(6).save(root / "cut.jpg", quality=95)
    (root / "cut.jpg").write_bytes((root / "cut.jpg").read_bytes()[:-300])
    known = IsicCase("i2", "i2.png", "nv", problems=["known"])
    cases = [IsicCase(name, name, "nv") for name in ("text.jpg", "small.png", "cut.jpg", "i0.png")]
    assert list(check_images(source_of(root, known, *cases), min_size=24)) == ["i0.png"]
    assert cases[0].problems[0].startswith("text.jpg: cannot identify image file")
    assert cases[1].problems == ["small.png: it has 20x48 pixels, needed are at least 24x24"]
    assert "truncated" in cases[2].problems[0]
    assert known.problems == ["known"]


def test_masks_that_do_not_fit_are_dropped_with_a_note(root: Path) -> None:
    masks = {"good": (48, 36), "other": (36, 48)}
    for name, (width, height) in masks.items():
        Image.new("L", (width, height), 255).save(root / f"{name}.png")
    (root / "broken.png").write_bytes((root / "good.png").read_bytes()[:40])
    cases = [IsicCase(str(i), f"i{i}.png", "nv", mask=f"{name}.png") for i, name in enumerate((*masks, "broken"))]
    check_images(source_of(root, *cases))
    assert [case.mask for case in cases] == ["good.png", None, None]
    assert cases[1].notes == ["mask other.png left out: it has 36x48 pixels, the image 48x36"]
    assert cases[2].notes[0].startswith("mask broken.png left out: it cannot be read: ")
    assert [sorted(case.checksums) for case in cases] == [["image", "mask"], ["image"], ["image"]]


def test_conversions_and_flat_images_are_noted(root: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 8
    picture(3).convert("CMYK").save(root / "cmyk.jpg", exif=exif)
    Image.new("RGB", (48, 36), "black").save(root / "flat.png")
    cases = [IsicCase(name, name, "nv") for name in ("cmyk.jpg", "flat.png")]
    hashes = check_images(source_of(root, *cases))
    assert cases[0].notes == ["mode CMYK read as RGB", "turned as its EXIF orientation 8 says"]
    assert cases[1].notes == ["hardly any contrast: not searched for near-duplicates"]
    assert hashes["flat.png"].look is None
