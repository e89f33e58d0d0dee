from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.data import CacheDataset
from monai.transforms import Compose, SelectItemsd

from monai_proto.data import PadCopiesCollate
from monai_proto.transforms import LoadVolumesd, LoadVolumeSliced, VolumePromptsd, VolumeToGreyd, intensity_window

SHAPE = (8, 10, 6)


@pytest.fixture
def item(tmp_path):
    generator = np.random.default_rng(0)
    voxels = generator.integers(-900, 900, SHAPE).astype(np.int16)
    labels = generator.integers(0, 4, SHAPE).astype(np.uint8)
    voxels[..., 5] = -1000
    labels[..., 4] = 0
    nib.save(nib.Nifti1Image(voxels, np.diag([1.0, 2, 3, 1])), tmp_path / "i.nii.gz")
    nib.save(nib.Nifti1Image(labels, np.diag([1.0, 2, 3, 1])), tmp_path / "l.nii.gz")
    return {
        "image": str(tmp_path / "i.nii.gz"),
        "mask": str(tmp_path / "l.nii.gz"),
        "axis": 1,
        "slice": 4,
        "label_values": [1, 3],
        "voxels": voxels,
        "labels": labels,
    }


def test_a_slice_becomes_a_picture_with_the_mask_of_its_object(item):
    loaded = LoadVolumeSliced(window=(-160, 240))(item)
    expected = (np.clip(item["voxels"][:, 4, :].astype(float), -160, 240) + 160) / 400 * 255
    assert loaded["image"].shape == (3, 8, 6)
    for channel in loaded["image"]:
        np.testing.assert_allclose(channel, expected, atol=1e-3)
    np.testing.assert_array_equal(loaded["mask"][0], np.isin(item["labels"][:, 4, :], [1, 3]))
    assert loaded["image"].meta["filename_or_obj"].endswith("i.nii.gz axis 1 slice 4")


def test_percentiles_are_those_of_the_volume_and_of_the_file_as_it_is_now(item):
    load = LoadVolumeSliced(percentiles=(10, 90))
    for voxels in (item["voxels"], item["voxels"] // 2):
        nib.save(nib.Nifti1Image(voxels, np.diag([1.0, 2, 3, 1])), item["image"])
        low, high = np.percentile(voxels, (10, 90))
        expected = (np.clip(voxels[:, 4, :].astype(float), low, high) - low) / (high - low) * 255
        np.testing.assert_allclose(load(item)["image"][0], expected, atol=1e-2)


def test_slices_look_as_in_the_whole_volume(item):
    whole = VolumeToGreyd("image")(LoadVolumesd("image")({"image": item["image"]}))["image"]
    torch.testing.assert_close(
        LoadVolumeSliced()(item)["image"][0].as_tensor(), whole[0, :, 4, :].as_tensor(), atol=1e-2, rtol=0
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"slice": 10}, r"i\.nii\.gz of shape \(8, 10, 6\) has no slice 10 along axis 1"),
        ({"slice": -1}, "has no slice -1"),
        ({"axis": 2, "slice": 5}, r"i\.nii\.gz axis 2 slice 5 is empty: every pixel is -1000"),
        ({"axis": 2, "slice": 4}, r"l\.nii\.gz shows nothing of label 1\+3 where image .*axis 2 slice 4 is"),
        ({"image": "/nowhere.nii.gz"}, r"image file /nowhere\.nii\.gz cannot be read"),
    ],
)
def test_what_cannot_be_loaded_is_named(item, change, message):
    with pytest.raises(ValueError, match=message):
        LoadVolumeSliced(window=(-160, 240))({**item, **change})


def test_a_mask_on_another_grid_is_named(item, tmp_path):
    nib.save(nib.Nifti1Image(item["labels"][1:], np.diag([1.0, 2, 3, 1])), item["mask"])
    with pytest.raises(ValueError, match=r"mask .*l\.nii\.gz has shape \(7, 10, 6\), but its image .* \(8, 10, 6\)"):
        LoadVolumeSliced(window=(0, 1))(item)
    nib.save(nib.Nifti1Image(item["labels"], np.eye(4)), item["mask"])
    with pytest.raises(ValueError, match=r"have different affines: their corners lie 13\.5 mm"):
        LoadVolumeSliced(window=(0, 1))(item)


def test_a_file_cut_off_is_named(item):
    with open(item["image"], "r+b") as stream:
        stream.truncate(200)
    with pytest.raises(ValueError, match=r"i\.nii\.gz cannot be read"):
        LoadVolumeSliced(window=(0, 1))(item)


def test_ranges_without_contrast_and_unknown_modalities():
    assert intensity_window("ct") == (-160, 240)
    assert intensity_window("mr") is None
    with pytest.raises(ValueError, match=r"modality must be one of .* got 'pet'"):
        intensity_window("pet")
    with pytest.raises(ValueError, match=r"item a: the volume has no contrast: percentiles .* are both 1"):
        VolumeToGreyd("image")({"image": torch.ones(1, 4, 4, 4), "image_id": "a"})
    with pytest.raises(ValueError, match=r"item a: window must be \(lowest, highest\)"):
        VolumeToGreyd("image", window=(5, 5))({"image": torch.ones(1, 4, 4, 4), "image_id": "a"})


def prompted(item, **changes):
    image = LoadVolumesd("image")({"image": item["image"]})["image"]
    prompts = [
        {"slice": 2, "prompt_boxes": [1.0, 2.0, 6.0, 8.0]},
        {"slice": 3, "prompt_points": [[1.0, 2.0], [3.0, 4.0]], "prompt_labels": [1, 0]},
    ]
    return {"image": image, "image_id": "case_label1", "axis": "coronal", "prompts": prompts, **changes}


def test_prompts_of_a_volume_become_tensors(item):
    laid = VolumePromptsd()(prompted(item))
    assert int(laid["prompt_axis"]) == 1
    assert laid["prompt_slices"].tolist() == [2, 3]
    assert laid["prompt_boxes"][0].tolist() == [1, 2, 6, 8]
    assert laid["prompt_boxes"][1].isnan().all()
    assert laid["prompt_labels"].tolist() == [[-1, -1], [1, 0]]
    assert laid["image"].meta["object_name"] == "case_label1"


@pytest.mark.parametrize(
    ("prompt", "axis", "message"),
    [
        ({"slice": 10, "prompt_boxes": [1, 2, 6, 8]}, 1, r"i\.nii\.gz: slice 10 must be in 0 \.\. 9 along axis 1"),
        (
            {"slice": 2, "prompt_boxes": [1, 2, 7, 8]},
            1,
            r"box \[1, 2, 7, 8\] is not inside of slice 2, which is 6",
        ),
        ({"slice": 2, "prompt_points": [[3, 9]], "prompt_labels": [1]}, 1, r"point \[3, 9\] is not inside of slice 2"),
        ({"slice": 5, "prompt_boxes": [1, 2, 6, 8]}, 2, "slice 5 along axis 2 is empty, every pixel is -1000"),
    ],
)
def test_prompts_that_do_not_fit_the_volume_are_named(item, prompt, axis, message):
    with pytest.raises(ValueError, match=message):
        VolumePromptsd()(prompted(item, prompts=[prompt], axis=axis))


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_slices_of_different_sizes_are_collated_and_stay_as_they_are_in_the_cache(item, order):
    keys = ("image", "mask", "axis", "slice", "label_values")
    listed = [{**{key: item[key] for key in keys}, "axis": axis, "slice": 1} for axis in (0, 2)]
    pictures = Compose([LoadVolumeSliced(window=(0, 1)), SelectItemsd(["image", "mask"])])
    cached = CacheDataset(listed, pictures, progress=False)
    sizes = [(10, 6), (8, 10)]
    for _ in range(2):
        batch = PadCopiesCollate(method="end")([cached[place] for place in order])
        assert batch["image"].shape == (2, 3, 10, 10)
        for row, place in enumerate(order):
            height, width = sizes[place]
            assert cached[place]["image"].shape[1:] == cached[place]["mask"].shape[1:] == (height, width)
            own = batch["mask"][row, :, :height, :width].as_tensor()
            assert torch.equal(own, cached[place]["mask"].as_tensor())
            assert batch["mask"][row].sum() == own.sum()
