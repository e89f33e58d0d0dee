from __future__ import annotations

import gzip
import itertools
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monai_proto.data.nifti import Volume, read_volume, voxel_hash
from monai_proto.data.volume_checks import (
    check_image,
    check_label_values,
    check_pair,
    check_same_affine,
    check_same_shape,
)

SHAPE = (6, 5, 4)


def _volume(data: np.ndarray, affine: np.ndarray | None = None) -> Volume:
    return Volume("case.nii.gz", data, np.eye(4) if affine is None else affine)


def _image(shape: tuple[int, ...] = SHAPE) -> Volume:
    return _volume(np.random.default_rng(0).normal(size=shape).astype(np.float32))


def _save(file: Path, data: np.ndarray, affine: np.ndarray | None = None) -> Path:
    nib.save(nib.Nifti1Image(data, np.eye(4) if affine is None else affine), file)
    return file


def _messages(problems) -> list[str]:
    return [problem.message for problem in problems]


def _label(values: tuple[float, ...] = (0, 1, 2), dtype: str = "uint8") -> Volume:
    return _volume(np.resize(np.array(values, dtype=dtype), SHAPE))


@pytest.mark.parametrize("name", ["case.nii.gz", "case.nii"])
def test_reads_scaled_voxels_and_affine(tmp_path, name: str) -> None:
    data, affine = _image().data, np.diag([2.0, 3.0, 4.0, 1.0])
    volume, problems = read_volume(_save(tmp_path / name, data, affine))
    assert not problems
    np.testing.assert_array_equal(volume.data, data)
    np.testing.assert_array_equal(volume.affine, affine)


@pytest.mark.parametrize("keep", [0.0, 0.01, 0.5, 0.99])
def test_truncated_gzip_is_unreadable_wherever_it_is_cut(tmp_path, keep: float) -> None:
    file = _save(tmp_path / "case.nii.gz", _image((20, 20, 20)).data)
    content = file.read_bytes()
    file.write_bytes(content[: int(keep * len(content))])
    volume, problems = read_volume(file)
    assert volume is None
    assert problems[0].file == str(file)
    assert problems[0].message.startswith("unreadable (")


def test_gzip_without_its_last_bytes_is_unreadable_though_all_voxels_are_there(tmp_path) -> None:
    file = _save(tmp_path / "case.nii.gz", _image((20, 20, 20)).data)
    file.write_bytes(file.read_bytes()[:-3])
    assert np.asanyarray(nib.load(file).dataobj).shape == (20, 20, 20)  # nibabel alone does not see it
    assert "EOFError" in read_volume(file)[1][0].message


def test_flipped_byte_in_gzip_is_unreadable(tmp_path) -> None:
    file = _save(tmp_path / "case.nii.gz", _image((20, 20, 20)).data)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    file.write_bytes(content)
    assert read_volume(file)[0] is None


def test_cifti_file_is_called_nifti_but_holds_no_volume(tmp_path) -> None:
    cortex = nib.cifti2.BrainModelAxis.from_mask(np.ones((2, 2, 2), bool), affine=np.eye(4), name="cortex_left")
    image = nib.cifti2.Cifti2Image(np.zeros((1, 8), np.float32), header=(nib.cifti2.ScalarAxis(["area"]), cortex))
    nib.save(image, tmp_path / "case.dscalar.nii")
    volume, problems = read_volume(tmp_path / "case.dscalar.nii")
    assert volume is None
    assert "must hold a volume, got a Cifti2Image" in problems[0].message


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("case.nii.gz", b"no gzip at all"),
        ("case.nii.gz", gzip.compress(b"no NIfTI" * 100, mtime=0)),
        ("case.nii", b"\0" * 400),
    ],
)
def test_what_is_no_nifti_is_unreadable(tmp_path, name: str, content: bytes) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    volume, problems = read_volume(file)
    assert volume is None
    assert len(problems) == 1


def test_truncated_plain_nifti_and_missing_file_are_unreadable(tmp_path) -> None:
    file = _save(tmp_path / "case.nii", _image().data)
    file.write_bytes(file.read_bytes()[:500])
    assert "unreadable" in read_volume(file)[1][0].message
    assert "FileNotFoundError" in read_volume(tmp_path / "none.nii.gz")[1][0].message


def test_colour_voxels_are_no_numbers(tmp_path) -> None:
    colours = np.zeros(SHAPE, dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    volume, problems = read_volume(_save(tmp_path / "case.nii.gz", colours))
    assert volume is None
    assert "holds no numbers: shape 6x5x4" in problems[0].message


@pytest.mark.parametrize(
    ("shape", "num_channels", "good"),
    [
        (SHAPE, 1, True),
        ((*SHAPE, 1), 1, True),
        ((*SHAPE, 2), 2, True),
        ((*SHAPE, 2), 1, False),
        ((*SHAPE, 2), 3, False),
        (SHAPE, 2, False),
        (SHAPE[:2], 1, False),
        ((*SHAPE, 1, 1), 1, False),
    ],
)
def test_image_dimensions(shape: tuple[int, ...], num_channels: int, good: bool) -> None:
    messages = _messages(check_image(_image(shape), num_channels))
    assert messages == [] if good else "image has shape " + "x".join(map(str, shape)) in messages[0]


def test_image_values() -> None:
    nan, constant = _image(), _volume(np.full(SHAPE, 7, dtype=np.int16))
    nan.data[0, 0, 0], nan.data[1, 1, 1] = np.nan, np.inf
    assert _messages(check_image(nan)) == ["image holds 2 voxels that are NaN or infinite"]
    assert _messages(check_image(constant)) == ["image is constant: every voxel is 7"]


def test_image_affine_must_be_invertible() -> None:
    flat = _volume(_image().data, np.diag([1.0, 1.0, 0.0, 1.0]))
    assert _messages(check_image(flat)) == ["affine of the image is not invertible"]


def test_shapes() -> None:
    assert check_same_shape(_image(), _label()) == []
    assert check_same_shape(_image((*SHAPE, 3)), _label()) == []
    assert check_same_shape(_image(), _volume(np.zeros((*SHAPE, 1)))) == []
    assert _messages(check_same_shape(_image(), _volume(np.zeros((6, 4, 5))))) == [
        "shape mismatch: label 6x4x5, image 6x5x4"
    ]
    assert check_same_shape(_image(), _volume(np.zeros((*SHAPE, 2))))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 1e-5, 1e-2, 10.0]))
def test_affine_deviation_is_the_largest_over_all_voxels(seed: int, size: float) -> None:
    generator = np.random.default_rng(seed)
    affine = np.eye(4)
    affine[:3] = generator.normal(size=(3, 4))
    other = affine.copy()
    other[:3] += size * generator.normal(size=(3, 4))
    slow = max(
        np.linalg.norm((other @ [*index, 1] - affine @ [*index, 1])[:3])
        for index in itertools.product(*map(range, SHAPE))
    )
    messages = _messages(check_same_affine(_volume(_image().data, affine), _volume(_label().data, other)))
    if slow <= 1e-3:
        assert messages == []
    else:
        assert messages == [f"affine mismatch: corner voxels of label and image lie up to {slow:.4g} mm apart"]


def test_affine_that_is_not_a_number_does_not_match() -> None:
    assert check_same_affine(_image(), _volume(_label().data, np.full((4, 4), np.nan)))


def test_tolerance_of_the_affine_is_in_millimetres() -> None:
    moved = np.eye(4)
    moved[2, 3] = 0.5
    label = _volume(_label().data, moved)
    assert check_same_affine(_image(), label, tolerance=0.5) == []
    assert "0.5 mm apart" in check_same_affine(_image(), label, tolerance=0.4)[0].message


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32", "float64"])
def test_good_label_values_of_any_type(dtype: str) -> None:
    assert check_label_values(_label(dtype=dtype), {0, 1, 2}) == []


@pytest.mark.parametrize(
    ("values", "declared", "message"),
    [
        ((0, 0.5), {0, 1}, "label values are not integers, for instance 0.5"),
        ((0, np.nan), {0, 1}, "label values are not integers, for instance nan"),
        ((0, np.inf), {0, 1}, "label values are not integers, for instance inf"),
        ((0, 1, 4, 3), {0, 1}, "label values out of range: 3, 4, expected one of 0, 1"),
        ((0, -1), None, "label values out of range: -1, expected not negative"),
        (
            tuple(range(20)),
            {0},
            "label values out of range: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 9 more, expected one of 0",
        ),
        ((0,), {0, 1, 2}, "label is empty: background only"),
    ],
)
def test_bad_label_values(values: tuple[float, ...], declared: set[int] | None, message: str) -> None:
    problems = check_label_values(_label(values, "float32"), declared)
    assert _messages(problems) == [message]
    assert not problems[0].is_warning


def test_single_class_of_several_is_a_warning() -> None:
    (problem,) = check_label_values(_label((0, 2)), {0, 1, 2})
    assert problem.is_warning
    assert problem.message == "label holds one class only: 2 of 1, 2"
    assert check_label_values(_label((0, 1)), {0, 1}) == []


def test_hash_sees_voxels_and_shape_and_nothing_else(tmp_path) -> None:
    data = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    reference = voxel_hash(_volume(data))
    gzipped = _save(tmp_path / "a.nii.gz", data)
    again = tmp_path / "b.nii.gz"
    again.write_bytes(gzip.compress(gzip.decompress(gzipped.read_bytes()), compresslevel=1))
    assert gzipped.read_bytes() != again.read_bytes()
    assert voxel_hash(read_volume(gzipped)[0]) == voxel_hash(read_volume(again)[0]) == reference
    assert voxel_hash(_volume(data.astype(np.float32))) == reference
    assert voxel_hash(_volume(np.asfortranarray(data))) == reference
    assert voxel_hash(_volume(data.reshape(3, 2, 4))) != reference
    assert voxel_hash(_volume(data + 1)) != reference


def test_pair_collects_everything_that_is_wrong(tmp_path) -> None:
    image = _save(tmp_path / "image.nii.gz", np.zeros(SHAPE, np.uint8))
    label = _save(tmp_path / "label.nii.gz", np.ones((6, 5, 9), np.uint8), np.diag([1.0, 1.0, 2.0, 1.0]))
    check = check_pair(image, label, declared_values={0, 1, 2})
    assert not check.usable
    assert [(Path(problem.file).name, problem.message) for problem in check.problems] == [
        ("image.nii.gz", "image is constant: every voxel is 0"),
        ("label.nii.gz", "shape mismatch: label 6x5x9, image 6x5x4"),
        ("label.nii.gz", "affine mismatch: corner voxels of label and image lie up to 3 mm apart"),
        ("label.nii.gz", "label holds one class only: 1 of 1, 2"),
    ]


def test_pair_that_is_good(tmp_path) -> None:
    image = _save(tmp_path / "image.nii.gz", _image().data)
    label = _save(tmp_path / "label.nii.gz", _label().data)
    check = check_pair(image, label)
    assert check.usable
    assert check.problems == ()
    assert check.label_values == (0, 1, 2)
    assert check.image_hash == check_pair(image).image_hash == voxel_hash(_image())


def test_two_dimensional_pair_is_reported_not_raised(tmp_path) -> None:
    image = _save(tmp_path / "image.nii.gz", _image((6, 5)).data)
    check = check_pair(image, _save(tmp_path / "label.nii.gz", _label().data))
    assert "image has shape 6x5, expected 3-D" in check.problems[0].message


@pytest.mark.real_data
def test_real_pairs_are_good(real_data_root: Path) -> None:
    root = real_data_root / "hippocampus"
    files = sorted((root / "imagesTr").glob("*.nii.gz"))[::10]
    assert files
    for file in files:
        assert check_pair(file, root / "labelsTr" / file.name, declared_values={0, 1, 2}).problems == ()


@pytest.mark.real_data
def test_real_label_of_another_grid(real_data_root: Path) -> None:
    """A label with 512x512x94 voxels and a single class lies among hippocampus crops."""
    image = next(iter(sorted((real_data_root / "hippocampus" / "imagesTr").glob("*.nii.gz"))))
    label = real_data_root / "broken" / "hippocampus" / "labels" / "hippocampus_281.nii.gz"
    check = check_pair(image, label, declared_values={0, 1, 2})
    assert not check.usable
    shape, affine, classes = _messages(check.problems)
    assert shape.startswith("shape mismatch: label 512x512x94, image 3")
    assert affine.startswith("affine mismatch: corner voxels of label and image lie up to 5")
    assert classes == "label holds one class only: 1 of 1, 2"
