"""Boxes as clients send them: Slicer's ROI markups, label maps, plain JSON."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from monai_proto.apps.monailabel.box_labels import boxed_items, read_client_boxes, write_boxes

AFFINE = np.array([[0.0, 0, 2, -5], [-1, 0, 0, 9], [0, 1.5, 0, 3], [0, 0, 0, 1]])  # axial slices lie along axis 1
SHAPE = (20, 16, 24)


@pytest.fixture
def volume(tmp_path):
    nib.save(nib.Nifti1Image(np.zeros(SHAPE, np.uint8), AFFINE), tmp_path / "image.nii.gz")
    return tmp_path / "image.nii.gz"


@pytest.fixture
def picture(tmp_path):
    Image.new("RGB", (40, 30)).save(tmp_path / "image.png")
    return tmp_path / "image.png"


def sent(tmp_path, content):
    (tmp_path / "boxes.json").write_text(json.dumps(content))
    return tmp_path / "boxes.json"


def roi(low, high, affine=AFFINE, lps=True):
    """The ROI around voxels low .. high (edges), axis-parallel in the world."""
    corners = nib.affines.apply_affine(affine, np.array([low, high], float) - 0.5)
    centre = corners.mean(axis=0) * ([-1, -1, 1] if lps else 1)
    size = np.abs(corners[1] - corners[0])
    return {
        "type": "ROI",
        "coordinateSystem": "LPS" if lps else "RAS",
        "center": centre.tolist(),
        "size": size.tolist(),
    }


@pytest.mark.parametrize("lps", [True, False])
def test_rois_of_slicer_become_boxes_of_axial_slices(volume, tmp_path, lps):
    markups = [roi((2, 3, 4), (18, 12, 20), lps=lps), roi((8, 5, 9), (12, 10, 15), lps=lps)]
    objects = read_client_boxes(sent(tmp_path, {"markups": markups}), volume)
    assert [entry["axis"] for entry in objects] == ["1"] * 3
    assert all(5 <= entry["slice"] < 10 for entry in objects)
    assert len({entry["slice"] for entry in objects}) == 3
    for entry in objects:  # x along the last axis, y along the first
        np.testing.assert_allclose(entry["small_box"], [9, 8, 15, 12], atol=1e-6)
        np.testing.assert_allclose(entry["big_box"], [4, 2, 20, 18], atol=1e-6)


def test_turned_roi_is_its_bounding_box(volume, tmp_path):
    turned = roi((8, 5, 9), (12, 10, 15), np.eye(4), lps=False)
    nib.save(nib.Nifti1Image(np.zeros(SHAPE, np.uint8), np.eye(4)), volume)
    turned["orientation"] = [0, 1, 0, -1, 0, 0, 0, 0, 1]  # a quarter turn: the sides of x and y change places
    objects = read_client_boxes(
        sent(tmp_path, {"markups": [turned, roi((0, 0, 0), SHAPE, np.eye(4), lps=False)]}), volume
    )
    np.testing.assert_allclose(objects[0]["small_box"], [5.5, 7.5, 9.5, 12.5])


def test_painted_boxes_of_a_volume(volume, tmp_path):
    painted = np.zeros(SHAPE, np.uint8)
    painted[2:18, 3:12, 4:20] = 2
    painted[8:12, 6:7, 9:15] = 1
    nib.save(nib.Nifti1Image(painted, AFFINE), tmp_path / "painted.nii.gz")
    objects = read_client_boxes(tmp_path / "painted.nii.gz", volume)
    assert objects == [{"small_box": [9, 8, 15, 12], "big_box": [4, 2, 20, 18], "axis": "1", "slice": 6}]


def test_two_objects_are_told_apart(picture, tmp_path):
    painted = np.zeros((30, 40), np.uint8)
    painted[1:14, 1:18], painted[4:10, 5:12] = 1, 2
    painted[16:29, 20:39], painted[20:24, 24:30] = 3, 4
    Image.fromarray(painted).save(tmp_path / "painted.png")
    objects = read_client_boxes(tmp_path / "painted.png", picture)
    assert {tuple(entry["small_box"] + entry["big_box"]) for entry in objects} == {
        (5, 4, 12, 10, 1, 1, 18, 14),
        (24, 20, 30, 24, 20, 16, 39, 29),
    }


@settings(max_examples=30, deadline=None)
@given(st.tuples(*[st.integers(0, 5)] * 2), st.tuples(*[st.integers(1, 4)] * 2), st.tuples(*[st.integers(8, 12)] * 2))
def test_painted_and_written_boxes_are_the_same(tmp_path_factory, low, gap, size):
    folder = tmp_path_factory.mktemp("same")
    Image.new("RGB", (40, 30)).save(folder / "image.png")
    big = [*low, low[0] + size[0], low[1] + size[1]]
    small = [low[0] + gap[0], low[1] + gap[1], low[0] + gap[0] + 3, low[1] + gap[1] + 3]
    painted = np.zeros((30, 40), np.uint8)
    painted[big[1] : big[3], big[0] : big[2]] = 1
    painted[small[1] : small[3], small[0] : small[2]] = 2
    Image.fromarray(painted).save(folder / "painted.png")
    written = read_client_boxes(sent(folder, {"objects": [{"small_box": small, "big_box": big}]}), folder / "image.png")
    assert read_client_boxes(folder / "painted.png", folder / "image.png") == written


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"markups": [roi((8, 5, 9), (12, 10, 15))]}, "must come in pairs"),
        ({"markups": [roi((8, 5, 9), (12, 10, 15)), roi((0, 0, 0), (5, 5, 5))]}, "no other box lies around"),
        ({"markups": [{"center": [0, 0]}, roi((0, 0, 0), (5, 5, 5))]}, "center and size"),
        ({"objects": []}, "no object"),
        ({"objects": [{"small_box": [9, 8, 15, 12], "big_box": [4, 2, 20, 18]}]}, "must have small_box, big_box, axis"),
        (
            {"objects": [{"small_box": [9, 8, 15, 12], "big_box": [4, 2, 20, 18], "axis": "axial", "slice": 16}]},
            "slice must be in 0 .. 15",
        ),
        (
            {"objects": [{"small_box": [9, 8, 15, 12], "big_box": [4, 2, 99, 18], "axis": "axial", "slice": 3}]},
            "cannot be used",
        ),
        ({"boxes": []}, '"markups"'),
        ([], '"markups"'),
    ],
)
def test_refused(volume, tmp_path, content, said):
    with pytest.raises(ValueError, match=said):
        read_client_boxes(sent(tmp_path, content), volume)


def test_no_json_and_wrong_files_are_refused(volume, picture, tmp_path):
    (tmp_path / "boxes.json").write_text("{")
    with pytest.raises(ValueError, match="not valid JSON"):
        read_client_boxes(tmp_path / "boxes.json", volume)
    with pytest.raises(ValueError, match="a picture, the study a volume"):
        read_client_boxes(picture, volume)
    with pytest.raises(ValueError, match="ROI markups are for volumes"):
        read_client_boxes(sent(tmp_path, {"markups": [roi((0, 0, 0), (5, 5, 5))]}), picture)


def test_stored_boxes_become_training_items(volume, tmp_path):
    entry = {"small_box": [9, 8, 15, 12], "big_box": [4, 2, 20, 18], "axis": "1", "slice": 6}
    file = write_boxes([entry, entry], tmp_path / "stored.json")
    assert [item["label_values"] for item in boxed_items("brain", volume, file)] == [[1], [1]]
    labels = np.zeros(SHAPE, np.uint8)
    labels[8:10, :, 9:15], labels[10:12, :, 9:15], labels[0, 0, 0] = 2, 3, 5
    nib.save(nib.Nifti1Image(labels, AFFINE), tmp_path / "mask.nii.gz")
    items = boxed_items("brain", volume, file, tmp_path / "mask.nii.gz")
    assert [item["image_id"] for item in items] == ["brain_0", "brain_1"]
    assert items[0] == {
        "image": str(volume),
        **entry,
        "image_id": "brain_0",
        "patient_id": "brain",
        "label_values": [2, 3],
        "mask": str(tmp_path / "mask.nii.gz"),
    }
