from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from monai_proto.transforms import CheckLabeld, LoadVolumesd


def write(path, array, affine=None) -> str:
    nib.save(nib.Nifti1Image(array, np.eye(4) if affine is None else affine), path)
    return str(path)


@pytest.fixture
def pair(tmp_path) -> dict[str, str]:
    rng = np.random.default_rng(0)
    return {
        "image": write(tmp_path / "image.nii.gz", rng.normal(size=(6, 7, 8)).astype(np.float32)),
        "label": write(tmp_path / "label.nii.gz", rng.integers(0, 3, (6, 7, 8)).astype(np.uint8)),
    }


def test_a_good_pair_is_loaded_channel_first(pair):
    item = CheckLabeld("label", 3)(LoadVolumesd(["image", "label"])(pair))
    assert item["image"].shape == item["label"].shape == (1, 6, 7, 8)
    np.testing.assert_allclose(item["image"][0], nib.load(pair["image"]).get_fdata(), rtol=1e-6)


def test_an_unlabelled_item_may_lack_the_label(pair):
    item = LoadVolumesd(["image", "label"], allow_missing_keys=True)({"image": pair["image"]})
    assert CheckLabeld("label", 3, allow_missing_keys=True)(item)["image"].shape == (1, 6, 7, 8)


def test_truncated_file_is_named(pair):
    with open(pair["image"], "r+b") as file:
        file.truncate(300)
    with pytest.raises(ValueError, match=r"image file .*image\.nii\.gz cannot be read"):
        LoadVolumesd(["image", "label"])(pair)


def test_missing_file_is_named(pair, tmp_path):
    with pytest.raises(ValueError, match=r"image file .*nowhere\.nii\.gz cannot be read"):
        LoadVolumesd("image")({"image": str(tmp_path / "nowhere.nii.gz")})


def test_other_shape_is_named(pair, tmp_path):
    pair["label"] = write(tmp_path / "small.nii.gz", np.zeros((6, 7, 7), np.uint8))
    with pytest.raises(ValueError, match=r"small\.nii\.gz has shape \(6, 7, 7\), but its image .* has \(6, 7, 8\)"):
        LoadVolumesd(["image", "label"])(pair)


def test_other_affine_is_named_with_its_distance(pair, tmp_path):
    affine = np.eye(4)
    affine[0, 3] = 2.0
    pair["label"] = write(tmp_path / "moved.nii.gz", np.zeros((6, 7, 8), np.uint8), affine)
    with pytest.raises(ValueError, match=r"moved\.nii\.gz .* corners lie 2 mm apart"):
        LoadVolumesd(["image", "label"])(pair)


def test_affine_that_agrees_at_two_opposite_corners_only(tmp_path):
    """A permutation of the axes of a cube keeps the first and the last voxel in place."""
    image = write(tmp_path / "cube.nii.gz", np.ones((5, 5, 5), np.float32))
    turned = write(tmp_path / "turned.nii.gz", np.zeros((5, 5, 5), np.uint8), np.eye(4)[[1, 2, 0, 3]])
    with pytest.raises(ValueError, match=r"turned\.nii\.gz .* different affines"):
        LoadVolumesd(["image", "label"])({"image": image, "label": turned})


def test_values_that_are_not_finite_are_named(pair, tmp_path):
    array = np.zeros((4, 4, 4), np.float32)
    array[1, 2, 3] = np.nan
    with pytest.raises(ValueError, match=r"holes\.nii\.gz holds values that are NaN"):
        LoadVolumesd("image")({"image": write(tmp_path / "holes.nii.gz", array)})


@pytest.mark.parametrize("value", [3.0, 1.5, -1.0])
def test_label_out_of_range_is_named(pair, tmp_path, value):
    array = np.zeros((6, 7, 8), np.float32)
    array[0, 0, 0] = value
    pair["label"] = write(tmp_path / "odd.nii.gz", array)
    item = LoadVolumesd(["image", "label"])(pair)
    with pytest.raises(ValueError, match=r"odd\.nii\.gz has the values .* integers in 0 \.\. 2"):
        CheckLabeld("label", 3)(item)


@pytest.mark.real_data
def test_real_pair_with_another_grid_is_refused(real_data_root):
    image = real_data_root / "hippocampus" / "imagesTr" / "hippocampus_003.nii.gz"
    label = real_data_root / "broken" / "hippocampus" / "labels" / "hippocampus_281.nii.gz"
    with pytest.raises(ValueError, match=r"hippocampus_281\.nii\.gz has shape"):
        LoadVolumesd(["image", "label"])({"image": str(image), "label": str(label)})
