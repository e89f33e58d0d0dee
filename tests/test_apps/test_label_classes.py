"""What the values of a label are called in DICOM SEG, and what the segments of a SEG are worth."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pydicom", reason="the extra dicom is not installed: no pydicom")

from monai_proto.apps.monailabel.label_classes import LabelClasses, bundle_segments
from monai_proto.apps.monailabel.workspace import BundleCopy
from monai_proto.data.bundle_metadata import metadata_with_labels

BUNDLES = Path(__file__).parents[2] / "bundles"


@pytest.fixture
def classes():
    name = "hippocampus_mri_semisupervised"
    return LabelClasses([BundleCopy(name, BUNDLES / name, "segmentation", True)])


def segments_of(classes, values, info=()):
    return [(s.value, s.name, s.type[2]) for s in classes.segments(np.array(values), info)]


def test_values_are_named_as_the_model_does(classes):
    named = [(1, "Anterior hippocampus", "Hippocampus"), (2, "Posterior hippocampus", "Hippocampus")]
    assert segments_of(classes, [0, 2]) == named
    assert segments_of(classes, [0, 3]) == [*named, (3, "Label 3", "Tissue")]


def test_names_of_a_client_come_first(classes):
    info = [{"name": "posterior"}, {"name": "Spleen"}]
    expected = [(1, "Posterior hippocampus", "Hippocampus"), (2, "Spleen", "Spleen")]
    assert segments_of(classes, [0, 1, 2], info) == expected


def test_segments_get_the_values_of_the_model_by_name(classes):
    assert classes.values({1: "Posterior hippocampus", 2: "anterior"}) == {"Posterior hippocampus": 2, "anterior": 1}
    assert classes.values({1: "posterior", 2: "Segment 2"}) == {"posterior": 1, "Segment 2": 2}


def test_a_value_on_which_two_models_differ_has_no_name(classes, tmp_path):
    shutil.copytree(classes.bundles[0].path, tmp_path / "other")
    file = tmp_path / "other" / "configs" / "metadata.json"
    metadata = metadata_with_labels(json.loads(file.read_text()), ["background", "posterior", "head"])
    file.write_text(json.dumps(metadata))
    both = LabelClasses([*classes.bundles, BundleCopy("other", tmp_path / "other", "segmentation", True)])
    assert [name for _, name, _ in segments_of(both, [0, 2])] == ["Label 1", "Label 2"]
    assert both.values({3: "anterior", 4: "head"}) == {"anterior": 1, "head": 2}
    assert both.values({3: "anterior", 4: "posterior"}) == {"anterior": 3, "posterior": 4}


def test_masks_of_a_promptable_model_have_one_class():
    name = "ct_mr_slice_sam_weak_segmentation"
    segments = bundle_segments(BundleCopy(name, BUNDLES / name, "promptable", True))
    assert [(segment.value, segment.name) for segment in segments] == [(1, "structure")]


def test_refused(classes):
    with pytest.raises(ValueError, match="value 300, expected at most 255"):
        classes.segments(np.array([300]))
    with pytest.raises(ValueError, match="label_info must be a list"):
        classes.segments(np.array([1]), ["anterior"])
