from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from monai_proto.preparation.nnunet.description import NnunetDescription
from monai_proto.preparation.nnunet.source import find_nnunet_root, gather_nnunet_cases, join_channels

SHAPE = (5, 4, 3)


def save(file: Path, seed: int = 0, dtype: type = np.int16, affine: np.ndarray | None = None, shape=SHAPE) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    voxels = np.random.default_rng(seed).integers(0, 100, shape).astype(dtype)
    nib.save(nib.Nifti1Image(voxels, np.diag([1, 2, 3, 1]) if affine is None else affine, dtype=dtype), file)
    return file


def test_channels_become_the_last_axis_of_one_image(tmp_path: Path) -> None:
    files = [save(tmp_path / f"a_000{channel}.nii.gz", channel) for channel in range(3)]
    joined, problems = join_channels(files)
    assert joined is not None
    assert problems == []
    assert (joined.data.shape, joined.data.dtype) == ((*SHAPE, 3), np.int16)
    for channel, file in enumerate(files):
        np.testing.assert_array_equal(joined.data[..., channel], np.asarray(nib.load(file).dataobj))
    np.testing.assert_array_equal(joined.affine, np.diag([1, 2, 3, 1]))


@pytest.mark.parametrize("second", [np.float32, np.int32, np.int64, np.float64])
def test_channels_of_different_types_become_float32(tmp_path: Path, second: type) -> None:
    joined, _ = join_channels([save(tmp_path / "a_0000.nii.gz"), save(tmp_path / "a_0001.nii.gz", 1, second)])
    assert joined is not None
    assert joined.data.dtype == np.float32


def test_channels_on_different_grids_are_not_joined(tmp_path: Path) -> None:
    first = save(tmp_path / "a_0000.nii.gz")
    shifted = np.diag([1.0, 2.0, 3.0, 1.0])
    shifted[0, 3] = 0.5
    for other, problem in (
        (save(tmp_path / "a_0001.nii.gz", 1, shape=(5, 4, 2)), "another shape than a_0000.nii.gz: 5x4x2, 5x4x3"),
        (save(tmp_path / "b_0001.nii.gz", 1, affine=shifted), "lies elsewhere than a_0000.nii.gz"),
        (save(tmp_path / "c_0001.nii.gz", 1, shape=(5, 4, 3, 2)), "one channel must be 3-D, got 5x4x3x2"),
    ):
        assert join_channels([first, other]) == (None, [f"{other.name}: {problem}"])
    (tmp_path / "d_0001.nii.gz").write_bytes(first.read_bytes()[:-20])
    joined, [problem] = join_channels([first, tmp_path / "d_0001.nii.gz"])
    assert joined is None
    assert problem.startswith("d_0001.nii.gz: unreadable (")


def test_cases_of_a_raw_folder(tmp_path: Path) -> None:
    root = tmp_path / "Dataset001_Toy"
    for name in ("imagesTr/a_b_0000", "imagesTr/c_0000", "imagesTr/._c_0000", "imagesTs/t_0000", "imagesTs/c_0000"):
        save(root / f"{name}.nii.gz")
    for name in ("imagesTr/d_0000", "imagesTr/d_0001", "imagesTr/e_0001", "imagesTr/plain"):
        save(root / f"{name}.nii.gz")
    for name in ("labelsTr/a_b", "labelsTr/f", "labelsTs/t"):
        save(root / f"{name}.nii.gz", dtype=np.uint8)
    (root / "labelsTr/notes.txt").touch()
    description = NnunetDescription(["CT"], ["background", "liver"], ".nii.gz", {})
    split = {"a_b": "validation", "gone": "training"}
    folder = gather_nnunet_cases(root, description, split, tmp_path / "work")
    found = {(case.case, case.image): (case.label, case.listed_in, case.problems, case.notes) for case in folder.cases}
    assert found == {
        ("a_b", "imagesTr/a_b.nii.gz"): ("labelsTr/a_b.nii.gz", "validation", [], []),
        ("c", "imagesTr/c.nii.gz"): (None, None, [], ["image without label: used as unlabelled"]),
        ("d", None): (None, None, ["more channels than the 1 of dataset.json: d_0001.nii.gz"], []),
        ("e", None): (
            None,
            None,
            ["no file of channel 0 (CT)", "more channels than the 1 of dataset.json: e_0001.nii.gz"],
            [],
        ),
        ("f", None): ("labelsTr/f.nii.gz", None, ["label without image"], []),
        ("c", None): (None, "test", ["a second case of the same name in imagesTs"], []),
        ("t", "imagesTs/t.nii.gz"): ("labelsTs/t.nii.gz", "test", [], []),
    }
    assert folder.remarks == [
        "ignored, as no files of a case: imagesTr/plain.nii.gz, labelsTr/notes.txt",
        "cases that the fold does not name, for training: 1",
        "cases that the fold names and that are not here: 1",
    ]
    assert (tmp_path / "work/imagesTr/c.nii.gz").resolve() == root / "imagesTr/c_0000.nii.gz"


def test_the_root_is_the_folder_or_the_only_one_in_it(tmp_path: Path) -> None:
    root = tmp_path / "raw" / "Dataset001_Toy"
    (root / "imagesTr").mkdir(parents=True)
    with pytest.raises(ValueError, match=r"is no raw folder of nnU-Net: it has no dataset\.json beside"):
        find_nnunet_root(tmp_path / "raw")
    (root / "dataset.json").touch()
    assert find_nnunet_root(root) == root == find_nnunet_root(tmp_path / "raw")
    with pytest.raises(ValueError, match=r"--source .*nowhere is not a folder"):
        find_nnunet_root(tmp_path / "nowhere")
