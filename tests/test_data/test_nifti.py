from __future__ import annotations

from monai_proto.data.nifti import case_name, is_apple_double, is_nifti_name


def test_names() -> None:
    assert [case_name(name) for name in ("a/b.nii.gz", "b.nii", "B.NII.GZ", "b.c.nii")] == ["b", "b", "B", "b.c"]
    assert [is_nifti_name(name) for name in ("a.nii", "a.nii.GZ", "a.gz", "nii")] == [True, True, False, False]
    assert is_apple_double("imagesTr/._a.nii.gz")
    assert not is_apple_double("._folder/a.nii.gz")
