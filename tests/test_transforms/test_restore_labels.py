"""Label maps back on the image's own grid: against a search for the nearest voxel, and against MONAI's Invertd."""

from __future__ import annotations

import itertools

import nibabel as nib
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.data import MetaTensor
from monai.transforms import Compose, Invertd, Orientationd, Spacingd

from monai_proto.transforms.load_volumes import LoadVolumesd
from monai_proto.transforms.restore_labels import RestoreLabelsd, restore_labels


def _turned(codes: str, spacing: tuple[float, ...], origin: tuple[float, ...], oblique: np.ndarray) -> np.ndarray:
    orientation = nib.orientations.axcodes2ornt(codes)
    affine = np.eye(4)
    affine[:3, :3] = 0
    for axis, (world, direction) in enumerate(orientation):
        affine[int(world), axis] = direction * spacing[axis]
    affine[:3, 3] = origin
    rotation = np.eye(4)
    rotation[:3, :3] = oblique
    return rotation @ affine


def _rotation(angle: float) -> np.ndarray:
    return np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])


@settings(max_examples=25, deadline=None)
@given(
    codes=st.sampled_from(["RAS", "LPS", "PIR", "SAL", "ILA"]),
    shape=st.tuples(*[st.integers(2, 6)] * 3),
    spacing=st.tuples(*[st.floats(0.6, 3.0)] * 3),
    angle=st.floats(-0.5, 0.5),
)
def test_every_voxel_has_the_label_of_the_nearest_one(codes, shape, spacing, angle):
    affine = _turned("RAS", (1.3, 0.9, 2.1), (-3.0, 2.0, 1.0), _rotation(angle))
    target = _turned(codes, spacing, (-2.0, 3.0, 0.5), _rotation(angle))
    labels = torch.arange(5 * 4 * 3, dtype=torch.uint8).view(5, 4, 3)
    found = restore_labels(labels, affine, shape, target)
    assert found.shape == shape
    assert found.dtype == torch.uint8
    inverse = np.linalg.inv(affine)
    for voxel in itertools.product(*map(range, shape)):
        place = (inverse @ target @ [*voxel, 1])[:3]
        place = np.clip(place, 0, np.array(labels.shape) - 1)  # beyond the label map its border counts
        chosen = np.array(np.unravel_index(int(found[voxel]), labels.shape))
        assert np.abs(chosen - place).max() <= 0.5 + 1e-6


@pytest.mark.parametrize("codes", ["RAS", "LPS", "PIR"])
def test_it_agrees_with_monais_inversion_and_has_the_grid_of_the_file(tmp_path, codes):
    affine = _turned(codes, (0.8, 1.1, 2.3), (-30.0, 12.0, 5.0), _rotation(0.2))
    grid = np.stack(np.meshgrid(*map(np.arange, (31, 28, 17)), indexing="ij"))
    blobs = (np.sin(grid / 4.0).sum(axis=0) * 2).astype(np.int16)
    nib.save(nib.Nifti1Image(blobs, affine), tmp_path / "ct.nii.gz")
    before = Compose([LoadVolumesd("image"), Orientationd("image", "RAS"), Spacingd("image", (1.5, 1.5, 1.5))])
    item = before({"image": str(tmp_path / "ct.nii.gz")})
    labels = MetaTensor((item["image"].as_tensor() > 1).to(torch.uint8)).copy_meta_from(item["image"])
    item["pred"] = labels
    restored = RestoreLabelsd("pred")(item)["pred"]
    inverted = Invertd("pred", before, orig_keys="image", nearest_interp=True)(item)["pred"]
    assert restored.shape == (1, 31, 28, 17)
    np.testing.assert_allclose(restored.affine, affine, atol=1e-5)
    assert (restored == inverted).float().mean() > 0.999
    assert 0.05 < restored.float().mean() < 0.95


def test_axes_that_are_not_parallel_and_missing_meta_data_are_errors():
    labels = torch.zeros(4, 4, 4, dtype=torch.uint8)
    oblique = _turned("RAS", (1, 1, 1), (0, 0, 0), _rotation(0.3))
    with pytest.raises(ValueError, match="must be parallel"):
        restore_labels(labels, np.eye(4), (4, 4, 4), oblique)
    with pytest.raises(ValueError, match="image must have original_affine"):
        RestoreLabelsd("pred")({"image": torch.zeros(1, 2, 2, 2), "pred": MetaTensor(labels[None])})
