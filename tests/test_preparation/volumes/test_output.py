from __future__ import annotations

from typing import Any

import pytest

from monai_proto.preparation.volumes.output import declared_label_values, describe_dataset, name_label_values


def test_properties_are_kept_and_completed() -> None:
    given = {"name": "Toy", "licence": "CC-BY", "modality": {"0": "T1", "1": "T2"}, "labels": {"0": "bg", "7": "organ"}}
    properties = describe_dataset(given, name="folder")
    assert {key: properties[key] for key in given} == given
    assert properties["tensorImageSize"] == "4D"
    assert declared_label_values(properties) == {0, 7}
    bare = describe_dataset({}, name="folder")
    assert (bare["name"], bare["modality"], bare["tensorImageSize"]) == ("folder", {"0": "image"}, "3D")
    assert declared_label_values(bare) is None
    named = describe_dataset({}, "folder", modalities=["T1", "T2"], label_names=["background", "organ"])
    assert named["modality"] == {"0": "T1", "1": "T2"}
    assert named["labels"] == {"0": "background", "1": "organ"}
    assert name_label_values({2, 5}) == {"0": "background", "2": "label 2", "5": "label 5"}


@pytest.mark.parametrize("labels", [{"background": 0}, ["background", "organ"]])
def test_labels_of_another_style_are_refused(labels: Any) -> None:
    with pytest.raises(ValueError, match=r"labels of dataset\.json must map integers to names"):
        describe_dataset({"labels": labels}, "folder")
