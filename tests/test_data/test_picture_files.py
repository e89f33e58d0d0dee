from __future__ import annotations

import pytest

from monai_proto.data.picture_files import PICTURE_SUFFIXES, picture_name


@pytest.mark.parametrize("suffix", PICTURE_SUFFIXES)
def test_a_suffix_and_a_folder_are_no_part_of_a_pictures_name(suffix):
    assert picture_name(f" images/ISIC_1{suffix} ") == "ISIC_1"
    assert picture_name(f"images\\ISIC_1{suffix.upper()}") == "ISIC_1"


def test_an_id_stays_as_it_is():
    assert [picture_name(name) for name in ("ISIC_1", "a/1", "v1.2", "")] == ["ISIC_1", "a/1", "v1.2", ""]
