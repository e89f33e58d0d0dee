from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from monai_proto.data.datalist import write_datalist
from monai_proto.preparation.nnunet.output import write_nnunet_labels

AFFINE = np.diag([1.0, 2.0, 3.0, 1.0])


def save(file: Path, *values: float, dtype: type = np.float32, shape=(4, 3, 2)) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(np.resize(np.array(values, dtype), shape), AFFINE), file)


def prepared(folder: Path) -> Path:
    folder.mkdir()
    properties = {"name": "Toy", "modality": {"0": "CT"}, "labels": {"0": "background", "1": "liver", "2": "spleen"}}
    write_datalist(folder, properties, [{"image": "a.nii.gz", "label": "b.nii.gz"}])
    return folder


def test_predictions_get_the_names_and_the_numbers_of_nnunet(tmp_path: Path) -> None:
    save(tmp_path / "eval/a_0000_seg.nii.gz", 0, 1, 2)
    save(tmp_path / "eval/deep/b_seg.nii", 0, 0, dtype=np.uint8, shape=(4, 3, 2, 1))
    save(tmp_path / "eval/._b_seg.nii", 0)
    cases = write_nnunet_labels(tmp_path / "eval", tmp_path / "out", prepared(tmp_path / "data"))
    assert cases == ["a", "b"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.nii.gz", "b.nii.gz", "dataset.json"]
    label = nib.load(tmp_path / "out" / "a.nii.gz")
    assert label.get_data_dtype() == np.uint8
    np.testing.assert_array_equal(label.affine, AFFINE)
    np.testing.assert_array_equal(np.asarray(label.dataobj), np.resize([0, 1, 2], (4, 3, 2)))
    assert nib.load(tmp_path / "out" / "b.nii.gz").shape == (4, 3, 2)
    assert json.loads((tmp_path / "out" / "dataset.json").read_text()) == {
        "channel_names": {"0": "CT"},
        "labels": {"background": 0, "liver": 1, "spleen": 2},
        "numTraining": 2,
        "file_ending": ".nii.gz",
    }
    write_nnunet_labels(tmp_path / "eval", tmp_path / "bare")
    assert sorted(path.name for path in (tmp_path / "bare").iterdir()) == ["a.nii.gz", "b.nii.gz"]


@pytest.mark.parametrize(
    ("values", "shape", "message"),
    [
        ((0, 3), (4, 3, 2), r"a_seg\.nii\.gz: labels must be integers in 0 \.\. 2, got 3"),
        ((0, -1), (4, 3, 2), "got -1"),
        ((0, 0.5), (4, 3, 2), "got 0.5"),
        ((0, np.nan), (4, 3, 2), "got nan"),
        ((0, 1), (4, 3, 2, 2), "a label map must be 3-D"),
    ],
)
def test_what_is_no_label_map_is_refused_and_nothing_is_written(tmp_path: Path, values, shape, message) -> None:
    save(tmp_path / "eval/a_seg.nii.gz", *values, shape=shape)
    with pytest.raises(ValueError, match=message):
        write_nnunet_labels(tmp_path / "eval", tmp_path / "out", prepared(tmp_path / "data"))
    assert not (tmp_path / "out").exists()


def test_two_files_of_one_case_an_empty_folder_and_none(tmp_path: Path) -> None:
    (tmp_path / "eval").mkdir()
    with pytest.raises(ValueError, match=r"eval holds no \.nii\.gz or \.nii file"):
        write_nnunet_labels(tmp_path / "eval", tmp_path / "out")
    with pytest.raises(ValueError, match="nowhere is not a folder"):
        write_nnunet_labels(tmp_path / "nowhere", tmp_path / "out")
    save(tmp_path / "eval/a_seg.nii.gz", 0)
    save(tmp_path / "eval/a_0000.nii.gz", 0)
    with pytest.raises(ValueError, match=r"a_0000\.nii\.gz and .*a_seg\.nii\.gz are both of the case a"):
        write_nnunet_labels(tmp_path / "eval", tmp_path / "out")
