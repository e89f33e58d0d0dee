"""Names of classes: from data lists, from metadata, and into metadata."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from monai_proto.data.bundle_metadata import (
    checkpoint_label_names,
    metadata_with_labels,
    names_by_value,
    read_label_names,
    read_metadata,
)
from monai_proto.dicom.segments import segments_from_metadata

BUNDLE = Path(__file__).parents[2] / "bundles" / "abdomen_ct_semisupervised"
PHANTOM_NAMES = ["background", "liver", "spleen", "left_kidney", "right_kidney", "aorta"]


def test_names_come_in_the_order_of_their_values(tmp_path):
    (tmp_path / "dataset.json").write_text(
        json.dumps({"labels": {"2": "spleen", "0": "background", "1": "liver"}, "training": []})
    )
    assert read_label_names(tmp_path) == ["background", "liver", "spleen"]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (None, "got None"),
        ({"0": "background"}, r"got the values \[0\]"),
        ({"0": "background", "2": "liver"}, r"got the values \[0, 2\]"),
        ({"background": 0, "liver": 1}, r"got the values \['background', 'liver'\]"),
    ],
)
def test_labels_of_another_form_are_errors_that_name_the_source(labels, message):
    with pytest.raises(ValueError, match=rf"labels of x must be .*{message}"):
        names_by_value(labels, "labels of x")


def test_a_checkpoint_has_the_classes_of_the_metadata_beside_it_else_of_the_bundle(tmp_path):
    model = tmp_path / "run" / "model.pt"
    model.parent.mkdir()
    assert checkpoint_label_names(model, BUNDLE) == PHANTOM_NAMES
    metadata = metadata_with_labels(read_metadata(BUNDLE / "configs" / "metadata.json"), ["background", "tumour"])
    (model.parent / "metadata.json").write_text(json.dumps(metadata))
    assert checkpoint_label_names(model, BUNDLE) == ["background", "tumour"]


def test_metadata_of_other_classes_keeps_the_codes_that_still_hold_and_drops_the_figures():
    own = read_metadata(BUNDLE / "configs" / "metadata.json")
    changed = metadata_with_labels(own, ["background", "liver", "pancreas", "left_kidney"])
    prediction = changed["network_data_format"]["outputs"]["pred"]
    assert prediction["num_channels"] == 4
    assert prediction["channel_def"] == {"0": "background", "1": "liver", "2": "pancreas", "3": "left_kidney"}
    assert set(changed["dicom_segments"]) == {"1", "3"}
    assert "eval_metrics" not in changed
    assert "data_source" not in changed
    assert changed["label_classes"] == "0 background, 1 liver, 2 pancreas, 3 left_kidney"
    assert own["network_data_format"]["outputs"]["pred"]["num_channels"] == 6  # the original is as it was


def test_the_bundles_segments_have_codes_and_sides():
    pytest.importorskip("highdicom")
    segments = segments_from_metadata(read_metadata(BUNDLE / "configs" / "metadata.json"))
    assert [segment.type[2] for segment in segments] == ["Liver", "Spleen", "Kidney", "Kidney", "Aorta"]
    assert [segment.side for segment in segments] == [None, None, "left", "right", None]
    assert all(segment.has_own_code for segment in segments)


def test_metadata_that_cannot_be_read_is_named(tmp_path):
    file = tmp_path / "metadata.json"
    with pytest.raises(ValueError, match=r"metadata.json does not exist"):
        read_metadata(file)
    for text, message in (("{", "not valid JSON"), ("[]", "JSON object"), ("{}", "outputs.pred")):
        file.write_text(text)
        with pytest.raises(ValueError, match=message):
            checkpoint_label_names(tmp_path / "model.pt", tmp_path)
