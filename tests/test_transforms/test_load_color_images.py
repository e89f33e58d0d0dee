from __future__ import annotations

import pickle
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from monai.data import DataLoader, Dataset, MetaTensor
from PIL import ExifTags, Image

from monai_proto.data.color_image import describe_conversion, read_color_image
from monai_proto.transforms.load_color_images import LoadColorImaged

HEIGHT, WIDTH = 30, 40


@pytest.fixture
def pixels() -> np.ndarray:
    """(H, W, 3), no two corners alike."""
    coarse = np.random.default_rng(0).integers(0, 256, (3, 4, 3)).astype(np.uint8)
    return coarse.repeat(10, axis=0).repeat(10, axis=1)


def load(file: Path, **options: int) -> MetaTensor:
    return LoadColorImaged("image", **options)({"image": file})["image"]


def save_16_bit_png(file: Path, pixels: np.ndarray, color_type: int) -> None:
    """PIL writes 16-bit grey-scale only: this writes any PNG by the standard."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], 16, color_type, 0, 0, 0)
    with open(file, "wb") as stream:
        stream.write(b"\x89PNG\r\n\x1a\n")
        for name, data in ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")):
            stream.write(struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)))


@pytest.mark.parametrize("as_path", [str, Path])
def test_rgb_is_channel_first_with_rows_first(tmp_path: Path, pixels: np.ndarray, as_path: type) -> None:
    Image.fromarray(pixels).save(tmp_path / "a.png")
    image = load(as_path(tmp_path / "a.png"))
    assert isinstance(image, MetaTensor)
    assert image.dtype == torch.float32
    np.testing.assert_array_equal(image.numpy(), pixels.transpose(2, 0, 1))
    assert image.meta["filename_or_obj"] == str(tmp_path / "a.png")
    assert list(image.meta["spatial_shape"]) == [HEIGHT, WIDTH]


# what was stored is the upright image with the inverse of the turn that the tag asks for
STORED = {
    2: lambda image: image[:, ::-1],
    3: lambda image: image[::-1, ::-1],
    4: lambda image: image[::-1],
    5: lambda image: image.transpose(1, 0, 2),
    6: lambda image: np.rot90(image, 1),
    7: lambda image: image[::-1, ::-1].transpose(1, 0, 2),
    8: lambda image: np.rot90(image, -1),
}


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
def test_exif_orientation_is_applied(tmp_path: Path, pixels: np.ndarray, orientation: int, suffix: str) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](pixels)))
    stored.save(tmp_path / f"a.{suffix}", exif=exif, quality=100, subsampling=0)
    image = load(tmp_path / f"a.{suffix}")
    np.testing.assert_allclose(image.numpy(), pixels.transpose(2, 0, 1), atol=0 if suffix != "jpg" else 12)


def test_grey_scale_and_binary_fill_three_channels(tmp_path: Path, pixels: np.ndarray) -> None:
    grey = Image.fromarray(pixels[..., 0])
    grey.save(tmp_path / "grey.png")
    np.testing.assert_array_equal(load(tmp_path / "grey.png").numpy(), np.stack([pixels[..., 0]] * 3))
    grey.convert("1", dither=Image.Dither.NONE).save(tmp_path / "binary.png")
    np.testing.assert_array_equal(load(tmp_path / "binary.png").numpy(), np.stack([255 * (pixels[..., 0] > 127)] * 3))


def test_transparency_is_composited_on_white(tmp_path: Path, pixels: np.ndarray) -> None:
    alpha = np.linspace(0, 255, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH).astype(np.uint8)
    share = alpha[..., None] / 255
    expected = (pixels * share + 255 * (1 - share)).transpose(2, 0, 1)
    Image.fromarray(np.dstack([pixels, alpha])).save(tmp_path / "rgba.png")
    np.testing.assert_allclose(load(tmp_path / "rgba.png").numpy(), expected, atol=1)

    grey = (pixels[..., :1] * share + 255 * (1 - share)).transpose(2, 0, 1)
    Image.fromarray(np.dstack([pixels[..., 0], alpha])).save(tmp_path / "la.png")
    np.testing.assert_allclose(load(tmp_path / "la.png").numpy(), grey.repeat(3, axis=0), atol=1)


def test_palettes_with_and_without_a_transparent_color(tmp_path: Path, pixels: np.ndarray) -> None:
    palette = Image.fromarray(pixels).quantize(12)  # 12 colours there are
    palette.save(tmp_path / "p.png")
    np.testing.assert_array_equal(load(tmp_path / "p.png").numpy(), pixels.transpose(2, 0, 1))
    transparent = palette.getpixel((0, 0))
    palette.save(tmp_path / "t.png", transparency=transparent)
    expected = np.where(np.asarray(palette)[..., None] == transparent, 255, pixels)
    np.testing.assert_array_equal(load(tmp_path / "t.png").numpy(), expected.transpose(2, 0, 1))


def test_cmyk_becomes_rgb(tmp_path: Path, pixels: np.ndarray) -> None:
    Image.fromarray(pixels).convert("CMYK").save(tmp_path / "a.tif")
    np.testing.assert_allclose(load(tmp_path / "a.tif").numpy(), pixels.transpose(2, 0, 1), atol=1)
    Image.fromarray(pixels).convert("CMYK").save(tmp_path / "a.jpg", quality=100, subsampling=0)
    np.testing.assert_allclose(load(tmp_path / "a.jpg").numpy(), pixels.transpose(2, 0, 1), atol=12)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bit_grey_scale_is_scaled_and_not_clipped(tmp_path: Path, suffix: str) -> None:
    values = np.linspace(0, 65535, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH).astype(np.uint16)
    Image.fromarray(values).save(tmp_path / f"a.{suffix}")
    expected = np.round(values / 65535 * 255)
    np.testing.assert_array_equal(load(tmp_path / f"a.{suffix}").numpy(), np.stack([expected] * 3))


def test_16_bit_color_and_alpha_are_scaled(tmp_path: Path, pixels: np.ndarray) -> None:
    values = pixels.astype(np.uint16) * 257
    save_16_bit_png(tmp_path / "rgb.png", values, color_type=2)
    np.testing.assert_array_equal(load(tmp_path / "rgb.png").numpy(), pixels.transpose(2, 0, 1))
    opaque = np.full((HEIGHT, WIDTH, 1), 65535, np.uint16)
    save_16_bit_png(tmp_path / "rgba.png", np.dstack([values, opaque // 2 + 128]), color_type=6)
    np.testing.assert_allclose(load(tmp_path / "rgba.png").numpy(), (pixels.transpose(2, 0, 1) + 255.0) / 2, atol=2)
    save_16_bit_png(tmp_path / "la.png", np.dstack([values[..., :1], opaque]), color_type=4)
    np.testing.assert_array_equal(load(tmp_path / "la.png").numpy(), np.stack([pixels[..., 0]] * 3))


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_values_without_a_known_range_are_refused(tmp_path: Path, dtype: type) -> None:
    Image.fromarray(np.ones((HEIGHT, WIDTH), dtype)).save(tmp_path / "a.tif")
    with pytest.raises(ValueError, match=r"image file .*a\.tif cannot be read: mode [IF] has no known range"):
        load(tmp_path / "a.tif")


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_a_truncated_file_is_named(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"a.{suffix}"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)).save(file)
    file.write_bytes(file.read_bytes()[: file.stat().st_size * 2 // 3])
    with pytest.raises(ValueError, match=rf"image file .*a\.{suffix} cannot be read: .*truncated"):
        load(file)


def test_missing_and_foreign_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"image file .*nowhere\.jpg cannot be read: .*No such file"):
        load(tmp_path / "nowhere.jpg")
    (tmp_path / "text.jpg").write_text("no image at all")
    with pytest.raises(ValueError, match=r"image file .*text\.jpg cannot be read: cannot identify image file"):
        load(tmp_path / "text.jpg")


def test_a_smaller_image_is_refused_with_its_size(tmp_path: Path, pixels: np.ndarray) -> None:
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert load(tmp_path / "a.png", min_size=30).shape == (3, 30, 40)
    with pytest.raises(ValueError, match=r"a\.png .* it has 40x30 pixels, needed are at least 31x31"):
        load(tmp_path / "a.png", min_size=31)


def test_a_decompression_bomb_is_refused(tmp_path: Path, pixels: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(pixels).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", HEIGHT * WIDTH - 1)
    with (
        pytest.warns(Image.DecompressionBombWarning),
        pytest.raises(ValueError, match=r"a\.png .* 40x30 pixels, more than the 1199"),
    ):
        load(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(ValueError, match=r"a\.png .* decompression bomb"):
        load(tmp_path / "a.png")


def test_images_of_all_modes_collate_after_a_worker_process(tmp_path: Path, pixels: np.ndarray) -> None:
    image = Image.fromarray(pixels)
    files = []
    for mode in ("RGB", "L", "P", "RGBA"):
        files.append(tmp_path / f"{mode}.png")
        image.convert(mode).save(files[-1])
    transform = pickle.loads(pickle.dumps(LoadColorImaged("image")))
    dataset = Dataset([{"image": file} for file in files], transform)
    batch = next(iter(DataLoader(dataset, batch_size=4, num_workers=1)))["image"]
    assert batch.shape == (4, 3, HEIGHT, WIDTH)
    assert batch.meta["filename_or_obj"] == [str(file) for file in files]


def test_a_missing_key_on_demand(tmp_path: Path) -> None:
    assert LoadColorImaged("image", allow_missing_keys=True)({"label": 1}) == {"label": 1}
    with pytest.raises(KeyError, match="image"):
        LoadColorImaged("image")({"label": 1})


def test_what_reading_changes_is_described(tmp_path: Path, pixels: np.ndarray) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    image = Image.fromarray(pixels)
    image.save(tmp_path / "plain.jpg")
    image.save(tmp_path / "turned.jpg", exif=exif)
    image.convert("RGBA").save(tmp_path / "rgba.png")
    image.save(tmp_path / "frames.gif", save_all=True, append_images=[image.convert("L")])
    assert describe_conversion(tmp_path / "plain.jpg") == []
    assert describe_conversion(tmp_path / "turned.jpg") == ["turned as its EXIF orientation 6 says"]
    assert describe_conversion(tmp_path / "rgba.png") == [
        "mode RGBA read as RGB",
        "transparency composited on white",
    ]
    assert "first of 2 frames" in describe_conversion(tmp_path / "frames.gif")


def test_reading_without_monai_gives_the_same_pixels(tmp_path: Path, pixels: np.ndarray) -> None:
    Image.fromarray(pixels).convert("CMYK").save(tmp_path / "a.jpg")
    image = read_color_image(tmp_path / "a.jpg")
    np.testing.assert_array_equal(np.asarray(image).transpose(2, 0, 1), load(tmp_path / "a.jpg").numpy())
    with pytest.raises(ValueError, match=r"Image .*a\.jpg cannot be read: it has 40x30 pixels"):
        read_color_image(tmp_path / "a.jpg", min_size=64)


@pytest.mark.real_data
def test_a_real_image_matches_pil(real_data_root: Path) -> None:
    file = sorted((real_data_root / "ham10000" / "images").glob("*.jpg"))[0]
    with Image.open(file) as image:
        np.testing.assert_array_equal(load(file).numpy(), np.asarray(image).transpose(2, 0, 1))
