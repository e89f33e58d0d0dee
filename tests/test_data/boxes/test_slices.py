from __future__ import annotations

import json
import logging

import nibabel as nib
import numpy as np
import pytest

from monai_proto.data import list_prompted_volumes, load_boxed_slices
from monai_proto.data.volume_slices import label_groups
from monai_proto.transforms import check_boxes

SHAPE = (24, 20, 6)


@pytest.fixture
def folder(tmp_path):
    """Six volumes of three patients; label 1 is large in slice 3, label 2 is in two parts, label 3 is a dot."""
    labels = np.zeros(SHAPE, dtype=np.uint8)
    labels[4:14, 3:13, 2] = 1
    labels[4:16, 3:15, 3] = 1
    labels[0:3, 15:20, 3] = labels[20:24, 15:20, 3] = 2
    labels[20, 1, 1] = 3
    for i in range(6):
        write(tmp_path / f"i{i}.nii.gz", np.random.default_rng(i).normal(size=SHAPE).astype(np.float32))
        write(tmp_path / f"l{i}.nii.gz", labels)
    list_volumes(tmp_path)
    return tmp_path


def write(file, voxels, affine=None):
    nib.save(nib.Nifti1Image(voxels, np.eye(4) if affine is None else affine), file)


def list_volumes(folder, **parts):
    volumes = [{"image": f"i{i}.nii.gz", "label": f"l{i}.nii.gz", "patient_id": f"p{i // 2}"} for i in range(6)]
    (folder / "dataset.json").write_text(json.dumps({"training": volumes, **parts}))


def test_the_largest_slice_of_every_object_gets_boxes(folder, caplog):
    with caplog.at_level(logging.WARNING):
        parts = load_boxed_slices(folder, validation_fraction=0.34)
    assert (len(parts["training"]), len(parts["validation"])) == (4, 2)
    sides = [{item["patient_id"] for item in parts[part]} for part in ("training", "validation")]
    assert sides[0].isdisjoint(sides[1])
    for item in parts["training"] + parts["validation"]:
        assert (item["axis"], item["slice"], item["label_values"]) == (2, 3, [1])
        check_boxes(item["small_box"], item["big_box"], SHAPE[:2])
        assert item["small_box"][0] >= 3
        assert item["small_box"][2] <= 15
    assert "12 objects are left out" in caplog.text
    assert "i0_label2_axis2_slice003: mask shows 2 objects" in caplog.text
    assert "i0_label3: no slice shows 25 pixels" in caplog.text


def test_slices_axis_and_labels_are_chosen(folder):
    items = load_boxed_slices(folder, slices="all", labels=1, num_training=3)["training"]
    assert [item["slice"] for item in items] == [2, 3, 2]
    along_x = load_boxed_slices(folder, axis=0, labels="1+3", min_pixels=4)["training"]
    assert {(item["axis"], tuple(item["label_values"])) for item in along_x} == {(0, (1, 3))}
    with pytest.raises(ValueError, match=r"gives no slice to train with\. i0_label7: no slice shows"):
        load_boxed_slices(folder, labels=7)


def test_a_volume_whose_label_map_does_not_fit_is_named(folder):
    write(folder / "l4.nii.gz", np.ones((24, 20, 5), dtype=np.uint8))
    with pytest.raises(ValueError, match=r"1 volumes that cannot be used\. i4: l4\.nii\.gz: shape mismatch"):
        load_boxed_slices(folder)
    write(folder / "l4.nii.gz", np.ones(SHAPE, dtype=np.uint8), np.diag([1.0, 1, 2, 1]))
    with pytest.raises(ValueError, match=r"i4: l4\.nii\.gz: affine mismatch"):
        load_boxed_slices(folder)
    (folder / "l4.nii.gz").unlink()
    with pytest.raises(ValueError, match=r"file under training that does not exist: .*l4\.nii\.gz"):
        load_boxed_slices(folder)


def listed_boxes(folder, **change):
    items = [
        {
            "image": f"i{i}.nii.gz",
            "mask": f"l{i}.nii.gz",
            "small_box": [5, 6, 10, 12],
            "big_box": [2, 3, 16, 18],
            "patient_id": str(i),
            "axis": 2,
            "slice": 3,
            "label_values": [1 + i % 2],
            **change,
        }
        for i in range(6)
    ]
    (folder / "dataset.json").write_text(json.dumps({"task": "box_segmentation", "training": items}))


def test_boxes_of_a_list_are_taken_and_filtered_by_label(folder):
    listed_boxes(folder)
    items = load_boxed_slices(folder, labels="2", validation_fraction=0.34)
    assert {item["label_values"][0] for item in items["training"] + items["validation"]} == {2}
    assert items["training"][0]["big_box"] == [2, 3, 16, 18]
    with pytest.raises(ValueError, match=r"labels must be among those of data list .*dataset\.json, 1, 2; no object"):
        load_boxed_slices(folder, labels="1+2")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"small_box": [10, 6, 5, 12]}, r"i0\.nii\.gz: small box \[10, 6, 5, 12\] has swapped corners"),
        ({"big_box": [2, 3, 2, 18]}, r"i0\.nii\.gz: big box .* has zero area"),
        ({"small_box": [0, 6, 10, 12]}, r"i0\.nii\.gz: small box .* is not inside the big box"),
    ],
)
def test_bad_boxes_of_a_list_name_the_item(folder, change, message):
    listed_boxes(folder, **change)
    with pytest.raises(ValueError, match=message):
        load_boxed_slices(folder)


def test_a_list_of_pictures_is_refused(folder):
    listed_boxes(folder)
    content = json.loads((folder / "dataset.json").read_text())
    del content["training"][2]["slice"]
    (folder / "dataset.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"items must be slices of volumes .* got i2\.nii of training"):
        load_boxed_slices(folder)


def test_label_groups_as_people_write_them():
    assert label_groups("1+2,5") == ((1, 2), (5,))
    assert label_groups(3) == ((3,),)
    assert label_groups((1, "2+4")) == ((1,), (2, 4))
    assert label_groups(None) is None
    for wrong in ("liver", "0", "1;2", "1+"):
        with pytest.raises(ValueError, match="labels must be integers above 0"):
            label_groups(wrong)


def test_prompts_of_a_data_list_are_the_big_boxes_of_every_object(folder):
    list_volumes(folder)
    items = list_prompted_volumes(folder, labels="1")
    assert all(item["image_id"] == f"{item['image'][-9:-7]}_label1" for item in items)
    assert [prompt["slice"] for prompt in items[0]["prompts"]] == [2, 3]
    assert len(items[0]["prompts"][0]["prompt_boxes"]) == 4


def test_prompts_of_one_volume_and_of_a_file(folder):
    [item] = list_prompted_volumes(folder / "i3.nii.gz", slice=[1, 3], box=[1, 2, 8, 9])
    assert [prompt["slice"] for prompt in item["prompts"]] == [1, 2, 3]
    assert item["prompts"][0]["prompt_boxes"] == [1, 2, 8, 9]
    prompts = folder / "prompts.json"
    prompts.write_text(json.dumps({"i1.nii.gz": [{"slice": 2, "points": [[3, 4]]}, {"slice": 2, "box": [1, 1, 5, 5]}]}))
    [item] = list_prompted_volumes(folder, prompts=prompts)
    assert item["image_id"] == "i1"
    assert item["prompts"][0] == {"slice": 2, "prompt_points": [[3, 4]], "prompt_labels": [1]}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, r"has no data list with boxes: give slice with box or points, or prompts"),
        ({"box": [1, 2, 8, 9]}, "slice must be an index, or first and last of several, got None"),
        ({"slice": [3, 1], "box": [1, 2, 8, 9]}, r"got \[3, 1\]"),
        ({"slice": 3}, "slice 3: a prompt must have a box or points"),
        ({"slice": 3, "box": [8, 2, 1, 9]}, "box must be .* with x1 < x2"),
        ({"slice": 3, "box": ["a", 2, 1, 9]}, "box must be"),
        ({"slice": 3, "box": [1, 2, 8, 9], "axis": "oblique"}, "axis must be one of"),
    ],
)
def test_bad_prompts(folder, arguments, message):
    with pytest.raises(ValueError, match=message):
        list_prompted_volumes(folder / "i0.nii.gz", **arguments)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"zz.nii.gz": [{"slice": 1, "box": [1, 2, 8, 9]}]}, r"names 1 volumes that are not in .*, such as zz"),
        ({"i1.nii.gz": {"slice": 1, "box": [1, 2, 8, 9]}}, r"i1\.nii\.gz: must be a list"),
        ({"i1.nii.gz": [{"slice": 1, "box": [1, 2, 1, 9]}]}, r"i1\.nii\.gz, slice 1: box must be"),
        ([], r"prompts\.json must be a JSON object, got \[\]"),
        ({}, "names no volume"),
    ],
)
def test_bad_files_of_prompts(folder, content, message):
    (folder / "prompts.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=message):
        list_prompted_volumes(folder, prompts=folder / "prompts.json")
