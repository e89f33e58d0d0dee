from __future__ import annotations

import numpy as np
import pytest

from monai_proto.data.boxes.annotation import BoxAnnotation, BoxOptions
from monai_proto.data.volume_slices import SliceOptions, boxes_of_volume_pairs, volume_slice


def test_anatomical_axes_follow_the_affine():
    # voxel axes run to the back, to the head and to the left: coronal, axial, sagittal
    affine = np.array([[0, 0, -2, 9], [-1, 0, 0, 5], [0, 3, 0, 1], [0, 0, 0, 1]], dtype=float)
    axes = {name: SliceOptions(axis=name).voxel_axis(affine) for name in ("sagittal", "coronal", "axial", "2")}
    assert axes == {"sagittal": 2, "coronal": 0, "axial": 1, "2": 2}


def test_slices_are_picked_among_those_that_show_enough():
    areas = np.array([0, 3, 30, 40, 50, 45, 26, 10, 0])
    assert SliceOptions(slices="largest").pick(areas) == [4]
    assert SliceOptions(slices="all").pick(areas) == [2, 3, 4, 5, 6]
    assert SliceOptions(slices="1").pick(areas) == [4]
    assert SliceOptions(slices="2").pick(areas) == [3, 5]
    assert SliceOptions(slices="9").pick(areas) == [2, 3, 4, 5, 6]
    assert SliceOptions(slices="largest", min_pixels=51).pick(areas) == []


def test_a_slice_keeps_the_order_of_the_other_axes():
    voxels = np.arange(24).reshape(2, 3, 4)
    assert np.array_equal(volume_slice(voxels, 1, 2), voxels[:, 2, :])
    assert volume_slice(voxels, 0, 0).shape == (3, 4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"axis": "transverse"}, r"axis must be one of .* got 'transverse'"),
        ({"slices": "some"}, "slices must be largest, all or a number above 0, got 'some'"),
        ({"slices": "0"}, "slices must be largest, all or a number above 0, got '0'"),
        ({"min_pixels": 0}, "min_pixels must be at least 1, got 0"),
    ],
)
def test_refuses_options_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        SliceOptions(**options)


def test_label_map_without_an_image_is_a_problem_not_an_error(tmp_path):
    alone = BoxAnnotation("case", None, "case", mask=tmp_path / "case.nii.gz")
    (annotation,) = boxes_of_volume_pairs([alone], SliceOptions(), BoxOptions())
    assert annotation.problems == ["label without image"]
